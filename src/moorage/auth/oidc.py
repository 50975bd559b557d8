"""Login by an OIDC provider: authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from moorage.auth.oidc_fetch import FetchFailed
from moorage.auth.oidc_tokens import TokenRefused, audiences, check_audience, check_times, read_token, subject
from moorage.auth.ports import Arrival
from moorage.auth.trust import claim_at
from moorage.core.errors import Denied, ManifestInvalid, Unauthorized
from moorage.core.strict_json import decode_object
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.auth.oidc_issuers import Issuer
    from moorage.auth.settings import OidcSettings
    from moorage.core.clock import Clock

_log = logger("moorage.auth")

FAILED = "The login was not completed; begin again."

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class OidcProvider:
    """One provider that people log in with.

    Args:
        settings: what the configuration says.
        issuer: the same provider, as one who signs tokens.
        clock: what has expired.
    """

    def __init__(self, settings: OidcSettings, issuer: Issuer, clock: Clock) -> None:
        self.settings = settings
        self._issuer = issuer
        self._clock = clock

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send a browser.

        Args:
            redirect_uri: where the provider is to send it back to.
            state: comes back with it.
            nonce: comes back inside of the ID token.
            verifier: of PKCE; only its hash leaves this program now.

        Raises:
            Unavailable: the provider does not answer.
        """
        endpoint = await self._endpoint("authorization_endpoint")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.settings.client_id,
                "redirect_uri": redirect_uri,
                "scope": " ".join(self.settings.scopes),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    async def check_sender(self, issuer: str | None) -> None:
        """Refuse an answer that another provider sent (RFC 9207).

        Args:
            issuer: the answer's `iss`; None where it has none.

        Raises:
            Unauthorized: it names another one, or none though this provider always does.
            Unavailable: the provider does not answer.
        """
        document = await self._issuer.document()
        always = document.get("authorization_response_iss_parameter_supported") is True
        if issuer != self._issuer.url and (issuer is not None or always):
            raise Unauthorized(FAILED)

    async def redeem(self, code: str, redirect_uri: str, verifier: str, nonce: str) -> Mapping[str, Any]:
        """The claims that the provider makes about who logged in, for the code that it sent.

        Raises:
            Unauthorized: the code is not (or no longer) good, or the answer proves nothing.
            Unavailable: the provider does not answer.
        """
        answer = await self._exchange(code, redirect_uri, verifier)
        access_token = answer.get("access_token")
        try:
            token = read_token(str(answer.get("id_token")))
            claims = await self._issuer.verify(token)
            self._check(claims, nonce)
            if isinstance(access_token, str):
                _check_hash(claims, token.algorithm, access_token)
        except TokenRefused as error:
            _log.warning("an ID token was refused", provider=self.settings.name, reason=str(error))
            raise Unauthorized(FAILED) from None
        if isinstance(access_token, str) and self._wants_more(claims):
            claims = {**await self._user_info(access_token, subject(claims)), **claims}
        return claims

    async def _exchange(self, code: str, redirect_uri: str, verifier: str) -> Mapping[str, Any]:
        endpoint = await self._endpoint("token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        secret = self.settings.client_secret
        methods = (await self._issuer.document()).get("token_endpoint_auth_methods_supported") or []
        basic = None
        if secret and ("client_secret_post" not in methods or "client_secret_basic" in methods):
            # RFC 6749 section 2.3.1: both are form-encoded before they become a user and a password.
            basic = quote(self.settings.client_id, safe=""), quote(secret, safe="")
        else:
            form["client_id"] = self.settings.client_id
            if secret:
                form["client_secret"] = secret
        try:
            status, body = await self._issuer.fetcher.post(endpoint, form, basic)
            if status >= 500 or status in (401, 404, 429):
                # 401 is invalid_client: the configuration is wrong, not the person.
                raise FetchFailed(f"{endpoint} answered {status}")
            answer = decode_object(body)
        except (FetchFailed, ManifestInvalid) as error:
            raise self._issuer.unavailable(error) from None
        if status != 200:
            _log.warning("a code was refused", provider=self.settings.name, error=str(answer.get("error"))[:100])
            raise Unauthorized(FAILED)
        return answer

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        """OpenID Connect Core 1.0 section 3.1.3.7."""
        subject(claims)
        client = self.settings.client_id
        check_audience(claims, [client])
        check_times(claims, self._clock.now())
        party = claims.get("azp")
        if party != client and (party is not None or len(audiences(claims)) > 1):
            raise TokenRefused("it was given to another party")
        found = claims.get("nonce")
        if not isinstance(found, str) or not hmac.compare_digest(found.encode(), nonce.encode()):
            raise TokenRefused("the nonce is another one")

    def _wants_more(self, claims: Mapping[str, Any]) -> bool:
        """Whether something is missing that the provider may tell elsewhere."""
        wanted = [self.settings.username_claim, self.settings.groups_claim]
        return any(path and claim_at(claims, path) is None for path in wanted)

    async def _user_info(self, access_token: str, expected: str) -> Mapping[str, Any]:
        """More claims (OpenID Connect Core 1.0 section 5.3); none where the provider has no place for them."""
        document = await self._issuer.document()
        if document.get("userinfo_endpoint") is None:
            return {}
        try:
            url = self._issuer.check_url(document["userinfo_endpoint"])
            found = decode_object(await self._issuer.fetcher.get(url, bearer=access_token))
        except (FetchFailed, ManifestInvalid) as error:
            raise self._issuer.unavailable(error) from None
        if found.get("sub") != expected:
            raise Unauthorized(FAILED)
        return found

    async def _endpoint(self, name: str) -> str:
        document = await self._issuer.document()
        try:
            return self._issuer.check_url(document.get(name))
        except FetchFailed as error:
            raise self._issuer.unavailable(error) from None


def arrival_of(settings: OidcSettings, claims: Mapping[str, Any]) -> Arrival:
    """Who somebody is here, from what the provider says.

    A user name in the claim `email` is what stands before the `@`, and only of an address that the provider checked.
    Where a domain is configured, names must have it, and lose it.

    Raises:
        Denied: there is no user name in it, or the person lacks the group that is required.
    """
    groups = _groups(settings, claims)
    if settings.required_group and settings.required_group not in (groups or ()):
        raise Denied("You are known to the provider, but not in the group that may log in here.")
    name = _user_name(settings, claims)
    if not name:
        raise Denied(f"The provider does not tell a usable user name (claim {'.'.join(settings.username_claim)}).")
    email = claims.get("email")
    return Arrival(
        source=f"oidc:{settings.name}",
        subject=subject(claims),
        name=name,
        email=email if isinstance(email, str) and claims.get("email_verified") is not False else "",
        groups=groups,
        admin=settings.admin_group in groups if settings.admin_group and groups is not None else None,
    )


def _user_name(settings: OidcSettings, claims: Mapping[str, Any]) -> str:
    """Empty where there is none that can be believed."""
    name = claim_at(claims, settings.username_claim)
    is_email = settings.username_claim == ("email",)
    if not isinstance(name, str) or (is_email and claims.get("email_verified") is not True):
        return ""
    before, _, domain = name.rpartition("@")
    if settings.username_domain:
        return before if domain.lower() == settings.username_domain.lower() else ""
    return before if is_email else name


def _groups(settings: OidcSettings, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of groups; None where the provider is not asked, or has too many to tell (Entra ID's `_claim_names`)."""
    path = settings.groups_claim
    if not path:
        return None
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, dict) and path[0] in elsewhere:
        _log.warning("a provider left the groups out, because they are too many", provider=settings.name)
        return None
    found = claim_at(claims, path)
    entries = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return tuple(entry for entry in entries if isinstance(entry, str) and entry)


def _check_hash(claims: Mapping[str, Any], algorithm: str, access_token: str) -> None:
    """`at_hash`, where it is there (OpenID Connect Core 1.0 section 3.1.3.6)."""
    expected = claims.get("at_hash")
    hashing = _HASHES.get(algorithm[-3:], hashlib.sha512)
    digest = hashing(access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if expected is not None and not (
        isinstance(expected, str) and hmac.compare_digest(expected.encode(), half.encode())
    ):
        raise TokenRefused("it belongs to another access token")
