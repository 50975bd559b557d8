"""How people prove who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HtpasswdSettings:
    """Users in an Apache htpasswd file with bcrypt hashes.

    realm: shown in the `WWW-Authenticate: Basic realm="..."` challenge.
    path: the file, as the configuration names it; it may not exist yet, which the auth room deals with.
    """

    realm: str
    path: Path


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
