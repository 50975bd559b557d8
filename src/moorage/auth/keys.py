"""Keys that our own tokens are signed with: made, named, sealed for the database, opened again."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ES256, EDDSA = "ES256", "EdDSA"
ALGORITHMS = (ES256, EDDSA)

_NONCE = 12
_VERSION = b"\x01"
_SIGNATURE = 64
"""Bytes of a signature, for both algorithms."""


class Unsealable(Exception):
    """A private key was sealed with another master key, or is damaged."""


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A pair of keys.

    Attributes:
        kid: the thumbprint of its public half (RFC 7638).
        algorithm: of ALGORITHMS.
        jwk: the public half, as it is published.
        header: of every token that it signs, encoded; nothing else is taken for the header of one.
    """

    kid: str
    algorithm: str
    jwk: Mapping[str, str]
    header: bytes
    _private: EllipticCurvePrivateKey | Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes (RFC 7518 section 3.4, RFC 8037 section 3.1)."""
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(data)
        r, s = decode_dss_signature(self._private.sign(data, ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def seal(self, master: bytes) -> str:
        """The private half, encrypted with AES-256-GCM and bound to `kid`; what the database keeps."""
        plain = self._private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(master).encrypt(nonce, plain, self.kid.encode())
        return base64.b64encode(_VERSION + nonce + sealed).decode()


def new_key(algorithm: str) -> SigningKey:
    """A new pair.

    Raises:
        ValueError: an unknown algorithm.
    """
    if algorithm == ES256:
        return _named(generate_private_key(SECP256R1()))
    if algorithm == EDDSA:
        return _named(Ed25519PrivateKey.generate())
    raise ValueError(f"The algorithm must be one of {', '.join(ALGORITHMS)}.")


def open_key(sealed: str, kid: str, master: bytes) -> SigningKey:
    """A pair from what the database keeps.

    Raises:
        Unsealable: the master key is another one, or the text is damaged.
    """
    try:
        data = base64.b64decode(sealed, validate=True)
        if data[:1] != _VERSION:
            raise Unsealable
        start = 1 + _NONCE
        plain = AESGCM(master).decrypt(data[1:start], data[start:], kid.encode())
        private = load_der_private_key(plain, None)
    except (ValueError, InvalidTag):
        raise Unsealable from None
    if not isinstance(private, EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise Unsealable
    return _named(private)


def master_key(secret: str) -> bytes:
    """32 bytes from the operator's secret of any length (HKDF, RFC 5869)."""
    return HKDF(SHA256(), 32, None, b"moorage signing keys 1").derive(secret.strip().encode())


def header_of(algorithm: str, kid: str) -> bytes:
    """The one header that tokens of a key have, encoded."""
    return encode(orjson.dumps({"alg": algorithm, "kid": kid, "typ": "JWT"}))


def encode(data: bytes) -> bytes:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class VerifyingKey:
    """The public half of a key, from its JWK.

    Args:
        algorithm: of ALGORITHMS; a token does not choose it.
        kid: its name.
        jwk: as `SigningKey.jwk`.

    Raises:
        ValueError: not a key of that algorithm.
    """

    __slots__ = ("_algorithm", "_public", "header", "jwk", "kid")

    def __init__(self, algorithm: str, kid: str, jwk: Mapping[str, str]) -> None:
        self.kid = kid
        self.jwk = {**jwk, "kid": kid, "alg": algorithm, "use": "sig"}
        self.header = header_of(algorithm, kid)
        self._algorithm = algorithm
        if algorithm == ES256 and jwk.get("kty") == "EC" and jwk.get("crv") == "P-256":
            x, y = (int.from_bytes(_decode(jwk[name])) for name in ("x", "y"))
            self._public: object = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        elif algorithm == EDDSA and jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519":
            self._public = Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))
        else:
            raise ValueError(f"The key {kid} is none of {algorithm}.")

    def fits(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature is one of `data` by this key."""
        if len(signature) != _SIGNATURE:
            return False
        try:
            if self._algorithm == EDDSA:
                self._public.verify(signature, data)  # type: ignore[attr-defined]
            else:
                r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
                self._public.verify(encode_dss_signature(r, s), data, ECDSA(SHA256()))  # type: ignore[attr-defined]
        except InvalidSignature:
            return False
        return True


def _named(private: EllipticCurvePrivateKey | Ed25519PrivateKey) -> SigningKey:
    if isinstance(private, Ed25519PrivateKey):
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        algorithm, jwk = EDDSA, {"crv": "Ed25519", "kty": "OKP", "x": encode(raw).decode()}
    else:
        numbers = private.public_key().public_numbers()
        x, y = (encode(number.to_bytes(32)).decode() for number in (numbers.x, numbers.y))
        algorithm, jwk = ES256, {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    # RFC 7638: the members that make the key, sorted, without blanks.
    kid = encode(hashlib.sha256(orjson.dumps(jwk, option=orjson.OPT_SORT_KEYS)).digest()).decode()
    return SigningKey(kid, algorithm, jwk, header_of(algorithm, kid), private)


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
