"""`/login/oidc/<name>` sends a browser to a provider, `.../callback` takes it back; `/logout` ends its session.

Nothing is remembered here in between: the browser keeps it, sealed (`moorage.auth.login_state`), in a cookie for each
login that was begun, so that several at a time do not get in each other's way.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.accounts.sessions import COOKIE, LIFE_SECONDS
from moorage.auth.login_state import LIFE_SECONDS as STATE_SECONDS
from moorage.auth.login_state import new_state
from moorage.core.errors import RegistryError, RouteUnknown, Unauthorized, Unsupported
from moorage.http.cookies import read_cookies, set_cookie
from moorage.http.login.next import safe_next
from moorage.http.login.pages import button, page, redirect, text
from moorage.http.same_site import check_same_site
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moorage.accounts.oidc_login import OidcLogin
    from moorage.accounts.sessions import Sessions
    from moorage.auth.login_state import LoginState, StateSeal
    from moorage.auth.oidc import OidcProvider
    from moorage.core.clock import Clock
    from moorage.http.request import Request
    from moorage.http.response import Header, Response

_log = logger("moorage.http")

LOGOUT, DONE = "/logout", "/login/done"

STATE_COOKIE = "moorage_login_"
MOST_AT_A_TIME = 5
"""Logins of one browser that are under way; the cookies of all before are removed at the next."""

_OIDC = "/login/oidc/"
_PATH = re.compile(r"/login/oidc/([a-z0-9][a-z0-9._-]{0,63})(/callback)?", re.ASCII)
_LONGEST_ANSWER = 4096
_STRANGE = "This login was not begun in this browser, or too long ago. Begin again."
_TITLES = {401: "Not logged in", 403: "Not logged in", 404: "Nothing here", 503: "Try again"}


@dataclass(frozen=True, slots=True)
class Flow:
    """What a login needs beside the requests.

    providers: by name. login: makes the session. seal: of the cookies in between.
    """

    providers: Mapping[str, OidcProvider]
    login: OidcLogin
    seal: StateSeal


class LoginDoor:
    """An implementation of `moorage.http.door.Door`.

    Args:
        load: makes the flow; called once, in a thread, when the first login begins: what it imports is large.
        sessions: ends one at `/logout`, and knows who is logged in.
        clock: for what has expired.
    """

    def __init__(self, load: Callable[[], Flow], sessions: Sessions, clock: Clock) -> None:
        self._load = load
        self._flow: Flow | None = None
        self._lock = asyncio.Lock()
        self._sessions = sessions
        self._clock = clock

    def knows(self, path: str) -> bool:
        """See `Door.knows`."""
        return path in (LOGOUT, DONE) or path.startswith(_OIDC)

    async def answer(self, request: Request) -> Response:
        """See `Door.answer`; errors are pages here."""
        request.route = "login"
        try:
            return await self._answer(request)
        except RegistryError as error:
            if error.status >= 500:
                _log.error("login failed", request_id=request.id, status=error.status, error=error.message)
            extra = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers]
            title = _TITLES.get(error.status, "This cannot be done")
            return page(error.status, title, text(error.message), text(f"Request {request.id}"), headers=extra)

    async def _answer(self, request: Request) -> Response:
        if request.path == LOGOUT:
            _only(request, "POST")
            return await self._log_out(request)
        _only(request, "GET")
        if request.path == DONE:
            return await self._done(request)
        found = _PATH.fullmatch(request.path)
        provider = (await self._loaded()).providers.get(found[1]) if found else None
        if found is None or provider is None:
            raise RouteUnknown("No provider of this name is configured.")
        return await (self._take_back(request, provider) if found[2] else self._send_away(request, provider))

    async def _send_away(self, request: Request, provider: OidcProvider) -> Response:
        flow = await self._loaded()
        name = provider.settings.name
        state = new_state(name, safe_next(request.value("next") or ""), self._clock.now())
        url = await provider.authorization_url(_callback(request, name), state.state, state.nonce, state.verifier)
        begun = [other for other in read_cookies(request) if other.startswith(STATE_COOKIE)]
        old = begun if len(begun) >= MOST_AT_A_TIME else []
        headers = [_state_cookie(request, name, cookie, "", 0) for cookie in old]
        headers.append(_state_cookie(request, name, _cookie_of(state.state), flow.seal.seal(state), STATE_SECONDS))
        return redirect(302, url, headers)

    async def _take_back(self, request: Request, provider: OidcProvider) -> Response:
        state = await self._state(request, provider)
        await provider.check_sender(request.value("iss"))
        forget = _state_cookie(request, state.provider, _cookie_of(state.state), "", 0)
        if request.value("error") is not None:
            words = f"{provider.settings.title or state.provider} did not log you in."
            return page(403, "Not logged in", text(words), headers=[forget])
        code = _one(request, "code")
        claims = await provider.redeem(code, _callback(request, state.provider), state.verifier, state.nonce)
        flow = await self._loaded()
        secret = await flow.login.enter(provider.settings, claims, request.address, request.id)
        session = set_cookie(COOKIE, secret, path="/", secure=_is_secure(request), seconds=LIFE_SECONDS)
        return redirect(303, state.next or f"{request.prefix}{DONE}", [forget, session])

    async def _state(self, request: Request, provider: OidcProvider) -> LoginState:
        """What was sealed when this browser was sent away.

        Raises:
            Unauthorized: it was not, or not by this answer's question.
        """
        given = _one(request, "state")
        sealed = read_cookies(request).get(_cookie_of(given), "")
        flow = await self._loaded()
        state = flow.seal.open(sealed, provider.settings.name, self._clock.now())
        if state is None or not hmac.compare_digest(state.state.encode(), given.encode()):
            raise Unauthorized(_STRANGE)
        return state

    async def _done(self, request: Request) -> Response:
        secret = read_cookies(request).get(COOKIE)
        who = await self._sessions.identify(secret) if secret else None
        if who is None:
            return page(200, "Not logged in", text("There is no session in this browser."))
        return page(200, "Logged in", text(f"You are {who.name}."), button(f"{request.prefix}{LOGOUT}", "Log out"))

    async def _log_out(self, request: Request) -> Response:
        check_same_site(request)
        secret = read_cookies(request).get(COOKIE)
        if secret:
            await self._sessions.end(secret, request.address, request.id)
        gone = set_cookie(COOKIE, "", path="/", secure=_is_secure(request), seconds=0)
        return redirect(303, f"{request.prefix}{DONE}", [gone])

    async def _loaded(self) -> Flow:
        async with self._lock:
            if self._flow is None:
                self._flow = await asyncio.to_thread(self._load)
            return self._flow


def _only(request: Request, method: str) -> None:
    if request.method != method:
        raise Unsupported(f"This address answers {method} only.", headers=(("allow", method),))


def _one(request: Request, name: str) -> str:
    value = request.value(name)
    if not value or len(value) > _LONGEST_ANSWER:
        raise Unauthorized(_STRANGE)
    return value


def _callback(request: Request, name: str) -> str:
    return f"{request.origin()}{request.prefix}{_OIDC}{name}/callback"


def _is_secure(request: Request) -> bool:
    return request.origin().startswith("https://")


def _cookie_of(state: str) -> str:
    return STATE_COOKIE + hashlib.sha256(state.encode()).hexdigest()[:16]


def _state_cookie(request: Request, provider: str, name: str, value: str, seconds: float) -> Header:
    path = f"{request.prefix}{_OIDC}{provider}"
    return set_cookie(name, value, path=path, secure=_is_secure(request), seconds=seconds)
