"""From values to the settings of OIDC providers and issuers."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from moorage.auth.settings import IssuerSettings, OidcSettings
from moorage.config.check import Values

PROVIDERS, ISSUERS = "auth.local.oidc", "auth.local.issuers"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def build_oidc(values: Values) -> tuple[tuple[OidcSettings, ...], tuple[IssuerSettings, ...]]:
    """Return the settings of `auth.local.oidc`, and of all issuers that the operator names, those of the former too."""
    providers = tuple(_provider(values, f"{PROVIDERS}[{index}]") for index in range(values.length(PROVIDERS)))
    names = [one.name for one in providers]
    for index, name in enumerate(names):
        if name in names[:index]:
            _error(values, f"{PROVIDERS}[{index}].name", f"{name!r} is the name of another provider; choose one")
    paths = [f"{ISSUERS}[{index}]" for index in range(values.length(ISSUERS))]
    paths += [f"{PROVIDERS}[{index}]" for index in range(len(providers))]
    issuers: dict[str, IssuerSettings] = {}
    for path in paths:
        one = _issuer(values, path)
        issuers.setdefault(one.issuer, one)
    return providers, tuple(issuers.values())


def _provider(values: Values, path: str) -> OidcSettings:
    for name in ("name", "clientid"):
        if not values.text(f"{path}.{name}"):
            values.report.error(f"{path}.{name}", "is missing; it is required", values.origin(path))
    name = values.text(f"{path}.name")
    if name and not _NAME.fullmatch(name):
        _error(values, f"{path}.name", "may hold lower-case letters, digits and dashes only, 32 at most")
    secret, file = values.text(f"{path}.clientsecret"), values.text(f"{path}.clientsecretfile")
    if secret and file:
        _error(values, f"{path}.clientsecret", "and `clientsecretfile` are both given; remove one of them")
    default = OidcSettings("", "", "")
    scopes = values.texts(f"{path}.scopes") or default.scopes
    if "openid" not in scopes:
        _error(values, f"{path}.scopes", "lacks `openid`, without which no provider says who somebody is")
    groups = values.texts(f"{path}.groupsclaim")
    for which in ("requiredgroup", "admingroup"):
        if values.text(f"{path}.{which}") and not groups:
            _error(values, f"{path}.{which}", "needs `groupsclaim`, which says where groups are found")
    return OidcSettings(
        name=name,
        issuer=values.text(f"{path}.issuer"),
        client_id=values.text(f"{path}.clientid"),
        client_secret=secret,
        client_secret_file=Path(file).absolute() if file else None,
        scopes=scopes,
        username_claim=values.texts(f"{path}.usernameclaim") or default.username_claim,
        groups_claim=groups,
        username_domain=values.text(f"{path}.usernamedomain").removeprefix("@"),
        admin_group=values.text(f"{path}.admingroup"),
        required_group=values.text(f"{path}.requiredgroup"),
        create=values.flag(f"{path}.create", default=default.create),
        title=values.text(f"{path}.title"),
    )


def _issuer(values: Values, path: str) -> IssuerSettings:
    issuer = values.text(f"{path}.issuer")
    insecure = values.flag(f"{path}.insecure", default=False)
    if not issuer:
        values.report.error(f"{path}.issuer", "is missing; it is required", values.origin(path))
    elif issuer.startswith("http://") and not insecure and urlsplit(issuer).hostname not in _LOOPBACK:
        _error(values, f"{path}.issuer", "must begin with https://, or anybody on the way could log in as anybody")
    ca, jwks = values.text(f"{path}.ca"), values.text(f"{path}.jwksfile")
    return IssuerSettings(
        issuer, insecure, Path(ca).absolute() if ca else None, Path(jwks).absolute() if jwks else None
    )


def _error(values: Values, path: str, message: str) -> None:
    values.report.error(path, message, values.origin(path))
