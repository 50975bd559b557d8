"""Tokens of another server, as Distribution's `auth.token` takes them: an implementation of `Authenticator`.

The key is found as there, in this order: by `x5c`, a chain to the bundle; by `jwk`, with such a chain in it or where it
is one of the trusted keys itself; by `kid`. `jku` and `x5u` are not looked at: nothing is fetched for a token.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cryptography import x509

from moorage.auth.basic import quoted
from moorage.auth.certificate_chain import ChainRefused, check_chain
from moorage.auth.external_keys import KeyFiles, TrustedKeys, jwk_of, thumbprint_of
from moorage.auth.oidc_tokens import IssuerKey, TokenRefused, audiences
from moorage.core.access import ANONYMOUS, Caller, Identity, TokenAccess
from moorage.core.errors import ManifestInvalid, Unauthorized
from moorage.core.strict_json import decode_object
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.auth.external_settings import ExternalSettings
    from moorage.auth.ports import LoginWatch
    from moorage.core.clock import Clock

LEEWAY = 60.0
"""Seconds that the issuer's clock may differ from ours."""

LONGEST = 32_768
"""Characters of an `Authorization` header that is looked at; chains of certificates are long."""

MOST_KNOWN = 10_000
"""Tokens whose verification is remembered."""

_PARTS = 3
_LONGEST_CHAIN = 5
_LONGEST_SUBJECT = 256
_BAD = "The token is not valid here, or no longer; ask for a new one."

_log = logger(__name__)


class ExternalTokens:
    """Who asks, from `Authorization: Bearer` with another server's token. Not for several event loops.

    Args:
        settings: whose tokens, for what.
        clock: for their times.
        keys: of that server.
        watch: told whose tokens come, and of those that are refused; None: nobody watches.
    """

    def __init__(
        self,
        settings: ExternalSettings,
        clock: Clock,
        keys: KeyFiles | None = None,
        watch: LoginWatch | None = None,
    ) -> None:
        self._watch = watch
        self._settings = settings
        self._clock = clock
        self._files = keys or KeyFiles(settings)
        self._keys = TrustedKeys()
        self._known: dict[str, tuple[float, Identity]] = {}

    def known(self, authorization: str | None) -> Identity | None:
        """The bearer of a token that was verified before; ANONYMOUS without a token, whatever else there is."""
        if authorization is None or not _token(authorization):
            return ANONYMOUS
        if self._files.current() is not self._keys:
            self._keys = self._files.current()
            self._known.clear()
        found = self._known.get(authorization)
        if found is not None and self._clock.now() <= found[0]:
            return found[1]
        return None

    async def identify(self, authorization: str | None, address: str = "", request_id: str = "") -> Identity:
        """See `Authenticator.identify`; the door adds the challenge to what is raised."""
        known = self.known(authorization)
        if known is not None or authorization is None:
            return known or ANONYMOUS
        caller = Caller(Identity("", "unknown"), address=address, request_id=request_id)
        try:
            until, who = self._read(authorization)
        except TokenRefused as error:
            _log.info("token refused", reason=str(error), address=address, request_id=request_id)
            if self._watch is not None:
                self._watch.refused(caller, f"token: {error}")
            raise Unauthorized(_BAD, error="invalid_token") from None
        if self._watch is not None:
            # Each docker command has a token of its own: a line for whose they are, not for each.
            self._watch.seen(replace(who, credential="token"), caller)
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[authorization] = (until, who)
        return who

    def challenge(self, origin: str = "", scope: str = "", error: str = "") -> str:
        """`Bearer realm="...",service="..."`, with what a token would need."""
        settings = self._settings
        realm = f"{origin}{settings.redirect_path}" if settings.redirect_path else settings.realm
        parts = [("realm", realm), ("service", settings.service), ("scope", scope), ("error", error)]
        return "Bearer " + ",".join(f'{name}="{quoted(value)}"' for name, value in parts if value)

    def _read(self, authorization: str) -> tuple[float, Identity]:
        if len(authorization) > LONGEST:
            raise TokenRefused("too long")
        parts = _token(authorization).split(".")
        if len(parts) != _PARTS:
            raise TokenRefused("not a signed token")
        header, claims = _object(parts[0]), _object(parts[1])
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._settings.algorithms:
            raise TokenRefused("the algorithm is not accepted")
        if "crit" in header or "b64" in header:
            raise TokenRefused("the header asks for what is not known here")
        key = self._key(header)
        data = f"{parts[0]}.{parts[1]}".encode()
        if not key.serves(algorithm) or not key.signed(algorithm, data, _decode(parts[2])):
            raise TokenRefused("the signature is wrong")
        return self._until(claims), _identity(claims)

    def _until(self, claims: dict[str, Any]) -> float:
        """When a verified token ends, the leeway with it."""
        now = self._clock.now()
        if claims.get("iss") != self._settings.issuer:
            raise TokenRefused("it is from another issuer")
        if self._settings.service not in audiences(claims):
            raise TokenRefused("it is for another audience")
        ends, begins = _time(claims, "exp"), _time(claims, "nbf") if "nbf" in claims else 0.0
        if now > ends + LEEWAY:
            raise TokenRefused("it has expired")
        if now < begins - LEEWAY:
            raise TokenRefused("it is from the future")
        return ends + LEEWAY

    def _key(self, header: dict[str, Any]) -> IssuerKey:
        if header.get("x5c"):
            return self._certified(header["x5c"])[0]
        jwk, kid = header.get("jwk"), header.get("kid")
        if isinstance(jwk, dict):
            return self._embedded(jwk)
        found = self._keys.by_id.get(kid) if isinstance(kid, str) else None
        if found is None:
            raise TokenRefused("its key is not known here")
        return found

    def _embedded(self, jwk: dict[str, Any]) -> IssuerKey:
        try:
            thumbprint = thumbprint_of(jwk)
        except ValueError:
            raise TokenRefused("the jwk in it is no key") from None
        if jwk.get("x5c"):
            key, certified = self._certified(jwk["x5c"])
            if certified != thumbprint:
                raise TokenRefused("the certificate in it is not that of its jwk")
            return key
        found = self._keys.by_thumbprint.get(thumbprint)
        if found is None:
            raise TokenRefused("the jwk in it is not trusted")
        return found

    def _certified(self, chain: object) -> tuple[IssuerKey, str]:
        """The key of a chain's first certificate, and its thumbprint."""
        if not isinstance(chain, list) or not 0 < len(chain) <= _LONGEST_CHAIN:
            raise TokenRefused("x5c is no list of certificates, or a long one")
        try:
            leaf, *between = [x509.load_der_x509_certificate(base64.b64decode(each, validate=True)) for each in chain]
            check_chain(leaf, between, self._keys.roots, self._clock.now())
            jwk = jwk_of(leaf)
            if jwk is None:
                raise TokenRefused("the certificate's key is of a kind that is not known here")
            return IssuerKey(jwk), thumbprint_of(jwk)
        except ChainRefused as error:
            raise TokenRefused(f"the certificate is not trusted: {error}") from None
        except (ValueError, TypeError):
            raise TokenRefused("x5c holds what is no certificate") from None


def _identity(claims: dict[str, Any]) -> Identity:
    entries = claims.get("access") or []
    if not isinstance(entries, list):
        raise TokenRefused("access is no list")
    subject, token = claims.get("sub", ""), claims.get("jti", "")
    if not isinstance(subject, str) or not isinstance(token, str) or len(subject) > _LONGEST_SUBJECT:
        raise TokenRefused("sub or jti is no text, or a long one")
    rights: dict[tuple[str, str], frozenset[str]] = {}
    for entry in entries:
        kind, name, actions = _entry(entry)
        rights[kind, name] = rights.get((kind, name), frozenset()) | actions
    access = {name: TokenAccess(actions, None) for (kind, name), actions in rights.items() if kind == "repository"}
    catalog = "*" in rights.get(("registry", "catalog"), frozenset())
    credential = f"token:{token[:_LONGEST_SUBJECT]}"
    return Identity(subject, "external", credential=credential, access=access, catalog=catalog)


def _entry(entry: object) -> tuple[str, str, frozenset[str]]:
    if isinstance(entry, dict):
        kind, name, actions = entry.get("type"), entry.get("name"), entry.get("actions") or []
        if isinstance(kind, str) and isinstance(name, str) and isinstance(actions, list):
            return kind, name, frozenset(action for action in actions if isinstance(action, str))
    raise TokenRefused("access holds what is no resource")


def _token(authorization: str) -> str:
    """What follows `Bearer`; empty for other schemes."""
    scheme, _, rest = authorization.partition(" ")
    return rest.strip(" ") if scheme.lower() == "bearer" else ""


def _time(claims: dict[str, Any], name: str) -> float:
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
    if not part or not part.isascii() or "+" in part or "/" in part or "=" in part:
        raise TokenRefused("not base64url")
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TokenRefused("not base64url") from None
