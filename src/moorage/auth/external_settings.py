"""What the operator decides about tokens of another server (`auth.token`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ALGORITHMS = ("EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""Those that can be verified with a public key; all of them count where none is chosen."""


@dataclass(frozen=True, slots=True)
class ExternalSettings:
    """Another server's tokens.

    realm: URL where clients get them.
    service: what they are for (`aud`), and clients name there.
    issuer: who they are from (`iss`).
    bundle: PEM file with the authorities of certificates in tokens, and the keys that tokens name by `kid`.
    jwks: file with more keys (RFC 7517).
    algorithms: of ALGORITHMS.
    redirect_path: at our own address, where clients are told to get tokens; "" for `realm`.
    """

    realm: str
    service: str
    issuer: str
    bundle: Path | None = None
    jwks: Path | None = None
    algorithms: tuple[str, ...] = ALGORITHMS
    redirect_path: str = ""
