"""From values to the settings of our own accounts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from moorage.auth.settings import LocalSettings
from moorage.config.build_certificates import build_certificates
from moorage.config.build_ldap import build_ldap
from moorage.config.build_oidc import build_oidc
from moorage.config.check import Values

_DEFAULTS = LocalSettings()
_SHORTEST_SECRET = 32


def build_local(values: Values, root: Path) -> LocalSettings:
    """Return the settings of `auth.local`.

    root: where the secret is kept when the configuration names no other place.
    """
    service = _plain(values, "auth.local.service") or _host(values) or _DEFAULTS.service
    written = values.text("auth.local.secretfile")
    oidc, issuers = build_oidc(values)
    return LocalSettings(
        realm=values.text("auth.local.realm"),
        service=service,
        issuer=_plain(values, "auth.local.issuer") or service,
        token_seconds=int(values.seconds("auth.local.tokenlife", _DEFAULTS.token_seconds)),
        refresh_seconds=int(values.seconds("auth.local.refreshlife", _DEFAULTS.refresh_seconds)),
        rotation_seconds=int(values.seconds("auth.local.rotation", _DEFAULTS.rotation_seconds)),
        algorithm="EdDSA" if values.text("auth.local.algorithm").lower() == "eddsa" else "ES256",
        secret=_secret(values, written),
        secret_file=Path(written).absolute() if written else root / "secret.key",
        personal_seconds=int(values.seconds("auth.local.personaltokenlife", _DEFAULTS.personal_seconds)),
        oidc=oidc,
        issuers=issuers,
        ldap=build_ldap(values),
        certificates=build_certificates(values),
    )


def _host(values: Values) -> str:
    return urlsplit(values.text("http.host")).netloc.rpartition("@")[2]


def _plain(values: Values, path: str) -> str:
    """A text that clients find in a quoted string and compare as it stands."""
    name = values.text(path)
    if not name.isascii() or not name.isprintable() or '"' in name or "\\" in name:
        values.report.error(path, "may hold printable ASCII without quotes and backslashes only", values.origin(path))
    return name


def _secret(values: Values, file: str) -> str:
    secret = values.text("auth.local.secret")
    if secret and file:
        message = "and `secretfile` are both given; remove one of them"
        values.report.error("auth.local.secret", message, values.origin("auth.local.secret"))
    if secret and len(secret) < _SHORTEST_SECRET:
        message = f"is shorter than {_SHORTEST_SECRET} characters and could be guessed; use a random text"
        values.report.error("auth.local.secret", message, values.origin("auth.local.secret"))
    return secret
