"""`/login/oidc/<name>` sends a browser to a provider, `.../callback` takes it back, with a session.

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

from moorage.auth.login_state import LIFE_SECONDS as STATE_SECONDS
from moorage.auth.login_state import new_state
from moorage.core.errors import RouteUnknown, Unauthorized, Unsupported
from moorage.http.cookies import is_secure, read_cookies, set_cookie
from moorage.http.ui.addresses import ACCOUNT, OIDC
from moorage.http.ui.next import safe_next
from moorage.http.ui.visitors import session_cookie, shown_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moorage.accounts.oidc_login import OidcLogin
    from moorage.auth.login_state import LoginState, StateSeal
    from moorage.auth.oidc import OidcProvider
    from moorage.core.clock import Clock
    from moorage.http.request import Request
    from moorage.http.response import Header, Response
    from moorage.http.ui.view import View

STATE_COOKIE = "moorage_login_"
MOST_AT_A_TIME = 5
"""Logins of one browser that are under way; the cookies of all before are removed at the next."""

_PATH = re.compile(r"/login/oidc/([a-z0-9][a-z0-9._-]{0,63})(/callback)?", re.ASCII)
_LONGEST_ANSWER = 4096
_STRANGE = "This login was not begun in this browser, or too long ago. Begin again."


@dataclass(frozen=True, slots=True)
class Flow:
    """What a login needs beside the requests.

    providers: by name. login: makes the session. seal: of the cookies in between.
    """

    providers: Mapping[str, OidcProvider]
    login: OidcLogin
    seal: StateSeal


class OidcPages:
    """Login with a provider.

    Args:
        view: makes pages.
        load: makes the flow; called once, in a thread, when the first login begins: what it imports is large.
        clock: for what has expired.
    """

    def __init__(self, view: View, load: Callable[[], Flow], clock: Clock) -> None:
        self._view = view
        self._load = load
        self._flow: Flow | None = None
        self._lock = asyncio.Lock()
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """The page, or where to go.

        Raises:
            RegistryError: what went wrong.
        """
        if request.method != "GET":
            raise Unsupported("This address answers GET only.", headers=(("allow", "GET"),))
        found = _PATH.fullmatch(request.path)
        provider = (await self._loaded()).providers.get(found[1]) if found else None
        if found is None or provider is None:
            raise RouteUnknown("No provider of this name is configured.")
        return await (self._take_back(request, provider) if found[2] else self._send_away(request, provider))

    async def _send_away(self, request: Request, provider: OidcProvider) -> Response:
        flow = await self._loaded()
        name = provider.settings.name
        state = new_state(name, safe_next(request.value("next") or "", request.prefix), self._clock.now())
        url = await provider.authorization_url(_callback(request, name), state.state, state.nonce, state.verifier)
        begun = [other for other in read_cookies(request) if other.startswith(STATE_COOKIE)]
        old = begun if len(begun) >= MOST_AT_A_TIME else []
        headers = [_state_cookie(request, name, cookie, "", 0) for cookie in old]
        headers.append(_state_cookie(request, name, _cookie_of(state.state), flow.seal.seal(state), STATE_SECONDS))
        return self._view.redirect(302, url, headers)

    async def _take_back(self, request: Request, provider: OidcProvider) -> Response:
        state = await self._state(request, provider)
        await provider.check_sender(request.value("iss"))
        forget = _state_cookie(request, state.provider, _cookie_of(state.state), "", 0)
        if request.value("error") is not None:
            words = f"{provider.settings.title or state.provider} did not log you in."
            return self._view.message(request, 403, "Not signed in", words, [forget])
        code = _one(request, "code")
        claims = await provider.redeem(code, _callback(request, state.provider), state.verifier, state.nonce)
        flow = await self._loaded()
        old = shown_session(request)
        secret = await flow.login.enter(provider.settings, claims, request.address, request.id, old=old)
        after = state.next or f"{request.prefix}{ACCOUNT}"
        return self._view.redirect(303, after, [forget, session_cookie(request, secret)])

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

    async def _loaded(self) -> Flow:
        async with self._lock:
            if self._flow is None:
                self._flow = await asyncio.to_thread(self._load)
            return self._flow


def _one(request: Request, name: str) -> str:
    value = request.value(name)
    if not value or len(value) > _LONGEST_ANSWER:
        raise Unauthorized(_STRANGE)
    return value


def _callback(request: Request, name: str) -> str:
    return f"{request.origin()}{request.prefix}{OIDC}{name}/callback"


def _cookie_of(state: str) -> str:
    return STATE_COOKIE + hashlib.sha256(state.encode()).hexdigest()[:16]


def _state_cookie(request: Request, provider: str, name: str, value: str, seconds: float) -> Header:
    path = f"{request.prefix}{OIDC}{provider}"
    return set_cookie(name, value, path=path, secure=is_secure(request), seconds=seconds)
