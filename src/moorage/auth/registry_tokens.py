"""Our own Bearer tokens: what is in them, and how they are read again (Docker token specification, JWT).

We alone make them, so nothing about one is up to its bearer: its header must be, byte for byte, the one that a key of
ours writes. A header with another algorithm, type or key, with `jwk`, `jku`, `x5c` or `crit`, with members twice or in
another order is unknown before anything is computed.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import msgspec

from moorage.auth.keys import SigningKey, VerifyingKey, encode
from moorage.core.access import Binding, Identity, TokenAccess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.core.clock import Clock

LONGEST = 8192
"""Characters of an `Authorization` header that is looked at."""

LEEWAY = 60.0
"""Seconds that the clock of the instance that made a token may be ahead of ours. Its end is not put off by it."""

MOST_KNOWN = 10_000
"""Tokens whose verification is remembered."""

_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class Allowed(msgspec.Struct, forbid_unknown_fields=True):
    """One entry of `access`: what is allowed on one resource, and which repository that was when it was allowed."""

    type: str
    name: str
    actions: list[str]
    project: int = 0
    repository: int = 0


class Claims(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a token says; all of it is required but `pat`. `kind`, `uid` and `pat` are of `core.access.Identity`.

    `pat` stands for what a personal access token is narrowed to: as scopes that could be too long for a token.
    """

    iss: str
    aud: str
    sub: str
    exp: int
    nbf: int
    iat: int
    jti: str
    access: list[Allowed]
    kind: str
    uid: int
    pat: int = 0


class UnknownKey(Exception):
    """The token's header is none of a key that is known here (yet)."""


class InvalidToken(Exception):
    """The token is not valid; why is for the log."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Claims)


def write_token(key: SigningKey, claims: Claims) -> str:
    """A signed token."""
    data = key.header + b"." + encode(_encoder.encode(claims))
    return (data + b"." + encode(key.sign(data))).decode()


def claims_size(claims: Claims) -> int:
    """Characters that the claims take in a token."""
    return len(_encoder.encode(claims)) * 4 // 3 + 4


class TokenReader:
    """Reads tokens; one that was verified is known by its header's text until it expires.

    Args:
        issuer: what `iss` must be.
        service: what `aud` must be.
        clock: for their times.
    """

    def __init__(self, issuer: str, service: str, clock: Clock) -> None:
        self._issuer = issuer
        self._service = service
        self._clock = clock
        self._keys: dict[bytes, VerifyingKey] = {}
        self._known: dict[str, tuple[float, Identity]] = {}

    def use(self, keys: Sequence[VerifyingKey]) -> None:
        """Verify with these keys from now on; what one that is gone had signed is forgotten."""
        fresh = {key.header: key for key in keys}
        if not self._keys.keys() <= fresh.keys():
            self._known.clear()
        self._keys = fresh

    def known(self, authorization: str) -> Identity | None:
        """Whose token the header has, if it was verified before and has not expired. For any thread."""
        found = self._known.get(authorization)
        if found is None or found[0] <= self._clock.now():
            return None
        return found[1]

    def read(self, authorization: str) -> Identity:
        """Whose token the header `Bearer <token>` has.

        Raises:
            UnknownKey: no key that is known wrote its header.
            InvalidToken: not a token of ours, or not valid now.
        """
        if len(authorization) > LONGEST:
            raise InvalidToken("too long")
        try:
            token = authorization[7:].strip(" ").encode("ascii")
        except UnicodeEncodeError:
            raise InvalidToken("not ASCII") from None
        head, _, signature = token.rpartition(b".")
        header, dot, payload = head.partition(b".")
        if not dot or b"." in payload:
            raise InvalidToken("not three parts")
        key = self._keys.get(header)
        if key is None:
            raise UnknownKey
        if not key.fits(_bytes(signature), head):
            raise InvalidToken("wrong signature")
        claims = self._checked(_bytes(payload))
        who = _identity(claims)
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[authorization] = (float(claims.exp), who)
        return who

    def _checked(self, payload: bytes) -> Claims:
        try:
            claims = _decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InvalidToken("claims") from None
        now = self._clock.now()
        if claims.iss != self._issuer:
            raise InvalidToken("issuer")
        if claims.aud != self._service:
            raise InvalidToken("audience")
        if claims.exp <= now or claims.exp <= claims.iat:
            raise InvalidToken("expired")
        if max(claims.nbf, claims.iat) > now + LEEWAY:
            raise InvalidToken("not yet valid")
        return claims


def _identity(claims: Claims) -> Identity:
    access = {
        entry.name: TokenAccess(frozenset(entry.actions), Binding(entry.project, entry.repository))
        for entry in claims.access
        if entry.type == "repository"
    }
    catalog = any(
        entry.type == "registry" and entry.name == "catalog" and "*" in entry.actions for entry in claims.access
    )
    credential = f"token:{claims.jti}"
    return Identity(
        claims.sub, claims.kind, claims.uid, credential=credential, access=access, catalog=catalog, pat=claims.pat
    )


def _bytes(text: bytes) -> bytes:
    """Base64url without padding, and without anything else in it."""
    if b"+" in text or b"/" in text or b"=" in text:
        raise InvalidToken("encoding")
    try:
        return binascii.a2b_base64(text.translate(_URL_SAFE) + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        raise InvalidToken("encoding") from None
