"""Tokens that an OIDC issuer signed: read strictly, verified with the issuer's own keys only, and their times.

Nothing in a token chooses how it is verified: not the algorithm (it must be an asymmetric one that fits the key), not
the key (`jwk`, `jku`, `x5c` and `x5u` are refused) and not the type (an access token is no ID token).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry

from moorage.core.errors import ManifestInvalid
from moorage.core.strict_json import decode_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from joserfc.jwk import Key

LONGEST = 65_536
"""Characters of a token that is looked at; an ID token may carry hundreds of groups."""

LEEWAY = 30.0
"""Seconds that the issuer's clock may differ from ours."""

MOST_KEYS = 50
"""Keys of one issuer that are looked at."""

_KINDS = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "EdDSA": "OKP",
}
"""Algorithms, and the type of key that each needs. No `none`, nothing with a shared secret."""

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
_SHORTEST_RSA = 2048
_FORBIDDEN = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_MOST_TRIED = 4
_LONGEST_SUBJECT = 1024


class TokenRefused(Exception):
    """The token is not accepted; the message is for the log and the audit log, never for who showed it."""


@dataclass(frozen=True, slots=True, repr=False)
class Unverified:
    """A token that was read and not verified: nothing in it is to be believed.

    Attributes:
        algorithm, kid: of its header; `kid` is None where the header names no key.
        claims: what it says.
    """

    algorithm: str
    kid: str | None
    claims: Mapping[str, Any]
    _signed: bytes
    _signature: bytes

    @property
    def issuer(self) -> str:
        """`iss`; empty where it is no text."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""

    def verify(self, keys: Sequence[IssuerKey]) -> Mapping[str, Any]:
        """The claims, once one of the keys proves to have signed them.

        Args:
            keys: of the issuer that the caller expects.

        Raises:
            TokenRefused: none of them did.
        """
        found = self.fitting(keys)
        if not found:
            raise TokenRefused("no key of the issuer fits the token's kid and algorithm")
        if not any(key.signed(self.algorithm, self._signed, self._signature) for key in found[:_MOST_TRIED]):
            raise TokenRefused("the signature is wrong")
        return self.claims

    def fitting(self, keys: Sequence[IssuerKey]) -> list[IssuerKey]:
        """The keys that may have signed it. A token that names no key fits an issuer that has one only."""
        found = [key for key in keys if key.serves(self.algorithm)]
        if self.kid is None:
            return found if len(found) == 1 else []
        return [key for key in found if key.kid == self.kid]


class IssuerKey:
    """A public key of an issuer.

    Args:
        jwk: as the issuer publishes it (RFC 7517).

    Raises:
        ValueError: no key that signatures can be verified with here.
    """

    __slots__ = ("_algorithm", "_curve", "_key", "_kind", "kid")

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        kind, kid = jwk.get("kty"), jwk.get("kid")
        operations = jwk.get("key_ops")
        if kind not in ("RSA", "EC", "OKP") or jwk.get("use", "sig") != "sig":
            raise ValueError("not a public key for signatures")
        if operations is not None and "verify" not in operations:
            raise ValueError("not a key to verify with")
        public = {name: value for name, value in jwk.items() if name in ("kty", "n", "e", "crv", "x", "y")}
        try:
            self._key: Key = import_key(public)
            size = getattr(self._key.get_op_key("verify"), "key_size", None)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ValueError("not a key that can be read") from error
        if kind == "RSA" and (not isinstance(size, int) or size < _SHORTEST_RSA):
            raise ValueError(f"an RSA key shorter than {_SHORTEST_RSA} bits")
        self.kid = kid if isinstance(kid, str) else None
        self._kind = kind
        self._curve = jwk.get("crv")
        self._algorithm = jwk.get("alg")

    def serves(self, algorithm: str) -> bool:
        """Whether it is one for an algorithm."""
        named = self._algorithm is None or self._algorithm == algorithm
        return named and _KINDS.get(algorithm) == self._kind and _CURVES.get(algorithm, self._curve) == self._curve

    def signed(self, algorithm: str, data: bytes, signature: bytes) -> bool:
        """Whether the signature is one of `data` by this key."""
        try:
            return bool(JWSRegistry.algorithms[algorithm].verify(data, signature, self._key))
        except (JoseError, ValueError):
            return False


def read_keys(document: Mapping[str, Any]) -> list[IssuerKey]:
    """The keys of a JWK set that can be used here; others are passed over (RFC 7517 section 5)."""
    entries = document.get("keys")
    found = []
    for entry in entries[:MOST_KEYS] if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            try:
                found.append(IssuerKey(entry))
            except ValueError:
                continue
    return found


def read_token(text: str) -> Unverified:
    """A signed token in its compact form (RFC 7515 section 7.1), not verified.

    Raises:
        TokenRefused: it cannot be read, or its header asks for something that is never accepted.
    """
    parts = text.split(".")
    if len(text) > LONGEST or len(parts) != 3 or not all(_URL_SAFE.fullmatch(part) for part in parts):
        raise TokenRefused("not a signed token")
    header, claims = _object(parts[0]), _object(parts[1])
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in _KINDS:
        raise TokenRefused("the algorithm is not accepted")
    if kind is not None and (not isinstance(kind, str) or kind.lower() != "jwt"):
        raise TokenRefused("the type is not that of an ID token")
    if forbidden := _FORBIDDEN & header.keys():
        raise TokenRefused(f"the header has {', '.join(sorted(forbidden))}")
    if kid is not None and (not isinstance(kid, str) or not kid):
        raise TokenRefused("the kid is no text")
    return Unverified(algorithm, kid, claims, f"{parts[0]}.{parts[1]}".encode(), _decode(parts[2]))


def check_times(claims: Mapping[str, Any], now: float, *, longest: float | None = None) -> None:
    """Refuse what has ended, has not begun, or was made for too long.

    Args:
        claims: of a verified token.
        now: seconds since 1970.
        longest: most seconds from `iat` to `exp`; None for any.

    Raises:
        TokenRefused: one of that, or `exp` or `iat` is missing.
    """
    ends, made = _number(claims, "exp"), _number(claims, "iat")
    begins = _number(claims, "nbf") if "nbf" in claims else made
    if now >= ends + LEEWAY:
        raise TokenRefused("it has expired")
    if max(made, begins) > now + LEEWAY:
        raise TokenRefused("it is from the future")
    if longest is not None and ends - made > longest:
        raise TokenRefused(f"it lives longer than {int(longest)} seconds")


def check_audience(claims: Mapping[str, Any], wanted: Collection[str]) -> None:
    """Refuse what is not for us.

    Raises:
        TokenRefused: none of `wanted` is in `aud`.
    """
    if not set(audiences(claims)) & set(wanted):
        raise TokenRefused("it is for another audience")


def audiences(claims: Mapping[str, Any]) -> list[str]:
    """What is in `aud`, a text or a list of texts.

    Raises:
        TokenRefused: it is neither.
    """
    audience = claims.get("aud")
    found = [audience] if isinstance(audience, str) else audience
    if not isinstance(found, list) or not found or not all(isinstance(one, str) and one for one in found):
        raise TokenRefused("it names no audience")
    return found


def subject(claims: Mapping[str, Any]) -> str:
    """`sub`.

    Raises:
        TokenRefused: it is missing, no text, or too long.
    """
    found = claims.get("sub")
    if not isinstance(found, str) or not 1 <= len(found) <= _LONGEST_SUBJECT:
        raise TokenRefused("it names no subject")
    return found


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise TokenRefused(f"{name} is missing or no time")
    return float(value)


def _object(part: str) -> dict[str, Any]:
    try:
        return decode_object(_decode(part))
    except ManifestInvalid:
        raise TokenRefused("not a JSON object, or an ambiguous one") from None


def _decode(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TokenRefused("not base64url") from None
