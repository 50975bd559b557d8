"""An issuer of tokens for `auth.token`: keys, a bundle, a JWK set, and tokens with any header and claims."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from moorage.auth.external_settings import ExternalSettings
from tests.support.certificates import Authority, Pair

SERVICE, ISSUER, REALM = "registry.test", "auth.test", "https://auth.test/token"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def rights(name: str, *actions: str, kind: str = "repository") -> dict[str, Any]:
    return {"type": kind, "name": name, "actions": list(actions)}


class Issuer:
    """Keys of three kinds: `es` and `rsa` certified by `authority`, `ed` in the JWK set under `ed-1`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority("Issuer authority")
        self.es: Pair = self.authority.issue("signer")
        self.rsa: Pair = self.authority.issue("signer", key=rsa.generate_private_key(65537, 2048))
        self.ed: Any = OKPKey.import_key(ed25519.Ed25519PrivateKey.generate())
        self.bundle, self.jwks = folder / "bundle.pem", folder / "jwks.json"
        self.write()

    def write(self) -> None:
        """The files, with the keys as they are now."""
        self.bundle.write_bytes(self.authority.pem)
        self.jwks.write_text(json.dumps({"keys": [self.ed.as_dict(private=False) | {"kid": "ed-1"}]}))

    def settings(self, **more: Any) -> ExternalSettings:
        return ExternalSettings(REALM, SERVICE, ISSUER, self.bundle, self.jwks, **more)

    def claims(self, *access: dict[str, Any], **more: Any) -> dict[str, Any]:
        now = int(time.time())
        times = {"exp": now + 300, "nbf": now, "iat": now}
        return {"iss": ISSUER, "aud": SERVICE, "sub": "alice", **times, "jti": "1", "access": list(access)} | more

    def token(self, claims: dict[str, Any], header: dict[str, Any] | None = None, key: Any = None) -> str:
        """A token; by default by the Ed25519 key and its kid."""
        head = {"typ": "JWT", "alg": "EdDSA", "kid": "ed-1"} if header is None else header
        data = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(claims).encode())}"
        algorithm = JWSRegistry.algorithms[head["alg"]]
        return f"{data}.{encoded(algorithm.sign(data.encode(), key or self.ed))}"

    def certified(self, claims: dict[str, Any], pair: Pair, algorithm: str, *chain: Pair) -> str:
        """A token with `x5c`."""
        header = {"typ": "JWT", "alg": algorithm, "x5c": x5c(pair, *chain)}
        return self.token(claims, header, key_of(pair))


def x5c(*pairs: Pair) -> list[str]:
    return [base64.b64encode(pair.der).decode() for pair in pairs]


def key_of(pair: Pair) -> Any:
    if isinstance(pair.key, ec.EllipticCurvePrivateKey):
        return ECKey.import_key(pair.key)
    return RSAKey.import_key(pair.key)
