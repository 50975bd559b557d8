"""Tokens that must be refused: every trick that a registry or a JWT library has fallen for, and garbage beside it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicNumbers as PublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from moorage.auth.keys import SigningKey, new_key

Json = dict[str, Any]


def encode(data: bytes | Json) -> str:
    """Base64url of bytes, or of a JSON object."""
    raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of a part of a token."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign(key: SigningKey, header: bytes | Json, payload: bytes | Json) -> str:
    """A token with any header and payload, truly signed by a key."""
    data = f"{encode(header)}.{encode(payload)}"
    return f"{data}.{encode(key.sign(data.encode()))}"


def forged(token: str, ours: SigningKey, now: float, retired: SigningKey) -> Iterator[tuple[str, str]]:
    """Name and text of each.

    Args:
        token: a valid one, as a pattern.
        ours: the ES256 key that signed it.
        now: seconds since 1970.
        retired: a key that was ours and has ended.
    """
    header: Json = json.loads(decode(token.split(".", maxsplit=1)[0]))
    claims: Json = json.loads(decode(token.split(".")[1]))
    yield from _algorithms(token, header, claims, ours)
    yield from _keys(header, claims, ours, retired)
    yield from _claims(header, claims, ours, int(now))
    yield from _shapes(token, header, claims, ours)


def _public(key: SigningKey) -> EllipticCurvePublicKey:
    x, y = (int.from_bytes(decode(key.jwk[name])) for name in ("x", "y"))
    return PublicNumbers(x, y, SECP256R1()).public_key()


def _algorithms(token: str, header: Json, claims: Json, ours: SigningKey) -> Iterator[tuple[str, str]]:
    payload, signature = token.split(".")[1:]
    for none in ("none", "None", "NONE", "nOnE", ""):
        unsigned = f"{encode(header | {'alg': none})}.{payload}."
        yield f"alg {none!r}, no signature", unsigned
        yield f"alg {none!r}, the old signature", unsigned + signature
    public = _public(ours)
    forms = {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "point": public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        "JWK": json.dumps(dict(ours.jwk)).encode(),
        "nothing": b"",
    }
    for name, secret in forms.items():
        data = f"{encode(header | {'alg': 'HS256'})}.{payload}"
        yield f"HS256 with our {name} as its secret", f"{data}.{encode(hmac.digest(secret, data.encode(), 'sha256'))}"
    for alg in ("RS256", "ES384", "ES512", "PS256", "EdDSA", "es256", "HS512"):
        yield f"truly signed, but says {alg}", sign(ours, header | {"alg": alg}, claims)
    yield "alg is a list", sign(ours, header | {"alg": ["ES256"]}, claims)
    yield "alg is missing", sign(ours, {"kid": header["kid"], "typ": "JWT"}, claims)


def _keys(header: Json, claims: Json, ours: SigningKey, retired: SigningKey) -> Iterator[tuple[str, str]]:
    theirs = new_key("ES256")
    jwk = dict(theirs.jwk)
    yield "another key under our kid", sign(theirs, header, claims)
    yield "another key under its own kid", sign(theirs, header | {"kid": theirs.kid}, claims)
    yield "a key that has ended", sign(retired, header | {"kid": retired.kid}, claims)
    yield "jwk embedded, our kid", sign(theirs, header | {"jwk": jwk}, claims)
    yield "jwk embedded, its kid is ours", sign(theirs, header | {"jwk": jwk | {"kid": ours.kid}}, claims)
    yield "jwk embedded, no kid", sign(theirs, {"alg": "ES256", "typ": "JWT", "jwk": jwk}, claims)
    yield "our own jwk embedded, truly signed", sign(ours, header | {"jwk": dict(ours.jwk)}, claims)
    yield "jku", sign(theirs, header | {"jku": "http://127.0.0.1:1/jwks.json"}, claims)
    yield "x5u", sign(theirs, header | {"x5u": "http://127.0.0.1:1/chain.pem"}, claims)
    yield "x5c of somebody's root", sign(theirs, header | {"x5c": [_certificate()]}, claims)
    yield "crit", sign(ours, header | {"crit": ["exp"]}, claims)
    yield "b64 false", sign(ours, header | {"b64": False, "crit": ["b64"]}, claims)
    yield "kid is missing", sign(ours, {"alg": "ES256", "typ": "JWT"}, claims)
    yield "kid is empty", sign(ours, header | {"kid": ""}, claims)
    yield "our kid and a NUL", sign(theirs, header | {"kid": f"{ours.kid}\x00"}, claims)
    for kid in ("../../etc/passwd", "' OR 1=1 --", "/dev/null"):
        yield f"kid {kid!r}", sign(theirs, header | {"kid": kid}, claims)
    for typ in ("at+jwt", "JOSE", "", None):
        yield f"typ {typ!r}", sign(ours, header | {"typ": typ}, claims)
    twice = json.dumps(header, separators=(",", ":"))[:-1] + f',"kid":"{theirs.kid}"}}'
    yield "kid twice", sign(theirs, twice.encode(), claims)
    yield "alg twice", sign(ours, (json.dumps(header)[:-1] + ',"alg":"none"}').encode(), claims)


def _claims(header: Json, claims: Json, ours: SigningKey, now: int) -> Iterator[tuple[str, str]]:
    def truly(**changed: object) -> str:
        return sign(ours, header, claims | changed)

    for name in ("iss", "aud", "sub", "exp", "nbf", "iat", "jti", "access", "kind", "uid"):
        yield f"no {name}", sign(ours, header, {key: value for key, value in claims.items() if key != name})
    for iss in ("", claims["iss"][:-1], claims["iss"] + "x", claims["iss"].upper(), [claims["iss"]], None):
        yield f"iss {iss!r}", truly(iss=iss)
    for aud in ("", claims["aud"][:-1], claims["aud"] + "x", [claims["aud"]], [], [claims["aud"], "x"], None):
        yield f"aud {aud!r}", truly(aud=aud)
    yield "expired 61 seconds ago", truly(exp=now - 61, iat=now - 361, nbf=now - 361)
    yield "expired this second", truly(exp=now, iat=now - 300, nbf=now - 300)
    yield "valid in 70 seconds", truly(nbf=now + 70)
    yield "made in 70 seconds", truly(iat=now + 70)
    yield "ended before it was made", truly(exp=now + 30, iat=now + 40)
    for exp in ("9999999999", True, None, 1e400, [now + 300], -1):
        yield f"exp {exp!r}", truly(exp=exp)
    yield "a claim that we do not write", truly(admin=True)
    yield "access is no list", truly(access={"type": "repository"})
    yield "claims are a list", sign(ours, header, json.dumps([claims]).encode())
    yield "claims are no JSON", sign(ours, header, b"{")
    yield "claims are nothing", sign(ours, header, b"")
    yield "claims are no UTF-8", sign(ours, header, b'{"iss":"\xff"}')


def _shapes(token: str, header: Json, claims: Json, ours: SigningKey) -> Iterator[tuple[str, str]]:
    head, payload, signature = token.split(".")
    more = encode(claims | {"sub": "admin", "uid": 1})
    yield "other claims under the signature", f"{head}.{more}.{signature}"
    yield "no signature", f"{head}.{payload}."
    yield "two parts", f"{head}.{payload}"
    yield "one part", head
    yield "four parts", f"{token}.{signature}"
    yield "five parts, as of a JWE", f"{head}.{payload}.{signature}.{payload}.{signature}"
    yield "nothing", ""
    yield "dots", "." * 5000
    yield "many dots", "." * 8000
    yield "long", "A" * 8000
    yield "a huge header", sign(ours, header | {"x": "y" * 5000}, claims)
    yield "padding", f"{head}.{payload}.{signature}=="
    yield "standard base64", f"{head}.{payload}.{'+/' * 43}"
    yield "a blank inside", f"{head}.{payload} .{signature}"
    yield "the signature cut", f"{head}.{payload}.{signature[:-4]}"
    yield "the signature longer", f"{head}.{payload}.{signature}AAAA"
    yield "a signature of zeros", f"{head}.{payload}.{encode(bytes(64))}"
    yield "a signature of ones", f"{head}.{payload}.{encode(bytes([255]) * 64)}"
    yield "the signature as DER", f"{head}.{payload}.{encode(_der(decode(signature)))}"
    yield "the signature as its hash", f"{head}.{payload}.{encode(hashlib.sha512(decode(signature)).digest())}"
    yield "a secret that looks like ours", "mrg_pat_" + "A" * 43
    yield "a refresh token's form", "mrg_ref_" + "A" * 43


def _der(raw: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


def _certificate() -> str:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, SHA256())
    )
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()
