"""`/token`: who asks shows credentials and gets a token; `/token/jwks`: the keys to verify it with.

GET with Basic, a client certificate or nothing, and POST with a form, whose credentials alone count (Docker token
specification, "Requesting a Token" and its OAuth2 twin).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from moorage.accounts.login import Proof
from moorage.auth.basic import read_basic
from moorage.auth.trust import looks_like_token
from moorage.core.access import ANONYMOUS, Caller
from moorage.core.errors import RegistryError, TooManyRequests, Unauthorized, Unsupported
from moorage.core.scopes import parse_scopes, write_scope
from moorage.http.certificate import certificate_owner
from moorage.http.form import BadForm, Form, read_form
from moorage.http.request import OPEN
from moorage.http.response import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.accounts.issue import Issue, Issued
    from moorage.accounts.keys import Keys
    from moorage.accounts.login import Login
    from moorage.accounts.refresh import RefreshTokens
    from moorage.auth.ports import CertificateOwners
    from moorage.core.access import Identity
    from moorage.http.request import Request
    from moorage.http.request_limit import RequestLimit

TOKEN, JWKS = "/token", "/token/jwks"

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ISSUED = "urn:ietf:params:oauth:token-type:access_token"

_SUBJECTS = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")

_CHALLENGE = 'Basic realm="moorage",charset="UTF-8"'
_YES = frozenset({"true", "1"})
_JSON = (b"content-type", b"application/json")


class TokenDoor:
    """An implementation of `moorage.http.door.Door`.

    Args:
        login: who that is.
        issue: makes tokens.
        refresh: gives and takes refresh tokens.
        keys: for `/token/jwks`.
        certificates: whose client certificates are; None: they are not looked at.
        service: the one that tokens are for; another one's are not made here.
        limit: how often somebody may ask; None where that is not limited.
    """

    def __init__(
        self,
        login: Login,
        issue: Issue,
        refresh: RefreshTokens,
        keys: Keys,
        service: str,
        limit: RequestLimit | None = None,
        certificates: CertificateOwners | None = None,
    ) -> None:
        self._certificates = certificates
        self._limit = limit
        self._login = login
        self._issue = issue
        self._refresh = refresh
        self._keys = keys
        self._service = service

    def knows(self, path: str) -> bool:
        """See `Door.knows`."""
        return path in (TOKEN, JWKS)

    async def answer(self, request: Request) -> Response:
        """See `Door.answer`; a refusal says that Basic is understood here."""
        request.route = "token"
        if request.path == JWKS:
            await self._count(request, ANONYMOUS)
            return self._jwks(request)
        try:
            return await self._answer(request)
        except TooManyRequests:
            raise
        except RegistryError as error:
            if request.caller is OPEN:  # it was not counted for anybody
                await self._count(request, ANONYMOUS)
            if isinstance(error, Unauthorized):
                error.challenge = error.challenge or _CHALLENGE
            raise

    async def _count(self, request: Request, identity: Identity) -> None:
        if self._limit is not None:
            await self._limit.count(request, identity)

    async def _answer(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return await self._get(request)
        if request.method == "POST":
            return await self._post(request)
        raise Unsupported("This address answers GET, HEAD, POST only.", headers=(("allow", "GET, HEAD, POST"),))

    def _jwks(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Unsupported("This address answers GET, HEAD only.", headers=(("allow", "GET, HEAD"),))
        headers = [(b"content-type", b"application/jwk-set+json"), (b"cache-control", b"public, max-age=20")]
        return Response(200, headers, orjson.dumps(self._keys.jwks()))

    async def _get(self, request: Request) -> Response:
        form = Form(request.query_string)
        self._check_service(form)
        proof = await self._shown(request, form)
        return await self._give(request, form, proof, offline=form.one("offline_token").lower() in _YES)

    async def _shown(self, request: Request, form: Form) -> Proof:
        header = request.header(b"authorization")
        if header is None:
            return Proof(await certificate_owner(self._certificates, request) or ANONYMOUS, 0)
        credentials = read_basic(header)
        if credentials is None:  # Bearer too: a token is not good for another one
            raise self._login.unreadable(request.address, request.id)
        return await self._prove(request, form, credentials[0], credentials[1].decode())

    async def _prove(self, request: Request, form: Form, user: str, password: str) -> Proof:
        scopes = parse_scopes(form.all("scope"))
        return await self._login.prove(user, password, request.address, request.id, scopes)

    async def _post(self, request: Request) -> Response:
        form = await read_form(request)
        self._check_service(form)
        grant = form.one("grant_type")
        if grant == "password":
            proof = await self._prove(request, form, form.one("username"), form.one("password"))
            offline = form.one("access_type") == "offline"
            return await self._give(request, form, proof, offline=offline)
        if grant == "refresh_token":
            secret = form.one("refresh_token")
            caller = Caller(ANONYMOUS, address=request.address, request_id=request.id)
            return await self._give(request, form, await self._refresh.prove(secret, caller), again=secret)
        if grant == EXCHANGE:
            return await self._exchange(request, form)
        raise BadForm(f"grant_type must be password, refresh_token or {EXCHANGE}.")

    async def _exchange(self, request: Request, form: Form) -> Response:
        """A CI job's OIDC token against one of ours (RFC 8693 section 2); `username` may name the robot."""
        token, kind = form.one("subject_token"), form.one("subject_token_type")
        if kind not in _SUBJECTS or not looks_like_token(token):
            raise BadForm(
                f"subject_token must be a signed token, and subject_token_type one of {', '.join(_SUBJECTS)}."
            )
        if form.one("actor_token") or form.one("requested_token_type") not in ("", ISSUED, _SUBJECTS[0]):
            raise BadForm("Only access tokens for the subject itself are given here.")
        proof = await self._prove(request, form, form.one("username") or "oidc", token)
        return await self._give(request, form, proof, more={"issued_token_type": ISSUED, "token_type": "Bearer"})

    async def _give(
        self,
        request: Request,
        form: Form,
        proof: Proof,
        *,
        offline: bool = False,
        again: str = "",
        more: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer with a token; `offline`: and a refresh token, or `again` the one that was used; `more` members."""
        caller = request.caller = Caller(proof.identity, address=request.address, request_id=request.id)
        await self._count(request, proof.identity)
        client = form.one("client_id")
        issued = await self._issue.token(caller, parse_scopes(form.all("scope")), client)
        refresh = await self._refresh.give(proof, caller, client) if offline else again
        return _answer(issued, refresh or "", more)

    def _check_service(self, form: Form) -> None:
        """Of several registries behind one name, a token must not be got from the wrong one (as Harbor does it)."""
        service = form.one("service")
        if service and service != self._service:
            raise BadForm(f"Tokens are given for the service {self._service!r} here.", {"service": service[:200]})


def _answer(issued: Issued, refresh: str, more: Mapping[str, str] | None) -> Response:
    body: dict[str, object] = {
        "token": issued.token,
        "access_token": issued.token,
        "expires_in": issued.expires_in,
        "issued_at": datetime.fromtimestamp(issued.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "scope": " ".join(write_scope(scope) for scope in issued.granted),
        **(more or {}),
    }
    if refresh:
        body["refresh_token"] = refresh
    return Response(200, [_JSON, (b"cache-control", b"no-store")], orjson.dumps(body))
