"""From values to the settings of another server's tokens."""

from __future__ import annotations

from pathlib import Path

from moorage.auth.external_settings import ALGORITHMS, ExternalSettings
from moorage.config.check import Values

_SHARED_SECRETS = ("HS256", "HS384", "HS512")


def build_token(values: Values) -> ExternalSettings:
    """Return the settings of `auth.token`; what does not fit together goes to the report."""
    for name in ("realm", "service", "issuer"):
        if not values.text(f"auth.token.{name}"):
            values.report.error(f"auth.token.{name}", "is missing; it is required", values.origin("auth.token"))
    bundle, jwks = _path(values, "rootcertbundle"), _path(values, "jwks")
    if bundle is None and jwks is None:
        message = "needs `rootcertbundle` or `jwks`: without keys no token is valid"
        values.report.error("auth.token", message, values.origin("auth.token"))
    path = ""
    if values.flag("auth.token.autoredirect", default=False):
        path = "/" + values.text("auth.token.autoredirectpath", "/auth/token").lstrip("/")
    return ExternalSettings(
        realm=values.text("auth.token.realm"),
        service=values.text("auth.token.service"),
        issuer=values.text("auth.token.issuer"),
        bundle=bundle,
        jwks=jwks,
        algorithms=_algorithms(values),
        redirect_path=path,
    )


def _path(values: Values, name: str) -> Path | None:
    path = f"auth.token.{name}"
    written = values.text(path)
    return Path(written).absolute() if written else None


def _algorithms(values: Values) -> tuple[str, ...]:
    key = "auth.token.signingalgorithms"
    wanted = values.texts(key)
    for name in wanted:
        if name in _SHARED_SECRETS:
            message = f"has {name}, which is signed with a shared secret and never valid with these keys; remove it"
            values.report.warning(key, message, values.origin(key))
        elif name not in ALGORITHMS:
            message = f"has {name!r}, which is not known; known are {', '.join(ALGORITHMS)}"
            values.report.error(key, message, values.origin(key))
    return tuple(name for name in ALGORITHMS if name in wanted) if wanted else ALGORITHMS
