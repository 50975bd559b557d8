"""How people prove who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moorage.auth.certificate_settings import CertificateSettings
from moorage.auth.ldap_settings import LdapSettings


@dataclass(frozen=True, slots=True)
class HtpasswdSettings:
    """Users in an Apache htpasswd file with bcrypt hashes.

    realm: shown in the `WWW-Authenticate: Basic realm="..."` challenge.
    path: the file, as the configuration names it; it may not exist yet, which the auth room deals with.
    """

    realm: str
    path: Path


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """An OIDC issuer that the operator names, and that may so be at a private address.

    issuer: its identifier, exactly as in the claim `iss`.
    insecure: whether it may be asked without TLS; on a loopback address it may in any case.
    ca: PEM file with more authorities to trust.
    jwks: file with its keys, for one that cannot be asked; it is read again every hour and for unknown keys.
    """

    issuer: str
    insecure: bool = False
    ca: Path | None = None
    jwks: Path | None = None


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """An OIDC provider that people log in with.

    name: in addresses (`/login/oidc/<name>`) and as the source of its users (`oidc:<name>`).
    issuer: its identifier; how to reach it is in `LocalSettings.issuers`.
    client_id, client_secret: who we are there; without a secret only PKCE proves it.
    client_secret_file: where the secret is, if the configuration does not hold it.
    scopes: what is asked for.
    username_claim, groups_claim: paths of claims, from the outside to the inside; groups are read with the second.
    username_domain: what stands behind the `@` of user names, and is taken away; "" for names without.
    admin_group: whose members are admins of the system; "": the provider has no say in that.
    required_group: without which nobody comes in; "" for everybody whom the provider knows.
    create: whether a user is made at the first login.
    title: what people know it by.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    username_claim: tuple[str, ...] = ("preferred_username",)
    groups_claim: tuple[str, ...] = ()
    username_domain: str = ""
    admin_group: str = ""
    required_group: str = ""
    create: bool = True
    title: str = ""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Accounts of our own, and the tokens that are given to them.

    realm: absolute URL of the token endpoint; "" means: derived from the address by which the client reached us.
    service, issuer: what tokens are for (`aud`) and from (`iss`).
    token_seconds: how long a token lives, at least 60 (clients take shorter ones for 60).
    refresh_seconds: how long a refresh token lives after its last use.
    rotation_seconds: after which a signing key is replaced.
    algorithm: `ES256` or `EdDSA`.
    secret: what private keys in the database are encrypted with; "" until the supervisor has read or made the file.
    secret_file: where it is kept when the configuration does not name it.
    ldap: directories whose users come in too, asked in this order.
    certificates: client certificates as identity; None: they are not looked at.
    oidc: providers that people log in with.
    issuers: issuers of tokens that may be at private addresses, those of `oidc` too.
    personal_seconds: how long a personal access token may live at most.
    """

    realm: str = ""
    service: str = "moorage"
    issuer: str = "moorage"
    token_seconds: int = 300
    refresh_seconds: int = 90 * 86400
    rotation_seconds: int = 30 * 86400
    algorithm: str = "ES256"
    secret: str = field(default="", repr=False)
    secret_file: Path | None = None
    ldap: tuple[LdapSettings, ...] = ()
    certificates: CertificateSettings | None = None
    oidc: tuple[OidcSettings, ...] = ()
    issuers: tuple[IssuerSettings, ...] = ()
    personal_seconds: int = 366 * 86400
