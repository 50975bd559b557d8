"""`/login`: the providers, and a form for name and password; `/logout` ends the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.core.access import NOTHING, Caller
from moorage.core.errors import Denied, TooManyRequests, Unauthorized, Unavailable
from moorage.http.ui.addresses import ACCOUNT, LOGIN
from moorage.http.ui.forms import login_secret, new_login_secret, read_own_form, token_of
from moorage.http.ui.next import safe_next
from moorage.http.ui.refusals import extra_headers, log_failure
from moorage.http.ui.visitors import session_cookie, shown_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.accounts.login import Login
    from moorage.accounts.sessions import Sessions
    from moorage.core.errors import RegistryError
    from moorage.http.request import Request
    from moorage.http.response import Response
    from moorage.http.ui.view import View
    from moorage.http.ui.visitors import Visitor

WRONG = "The user name or password is wrong."


@dataclass(frozen=True, slots=True)
class Provider:
    """An OIDC provider, as a link: `name` in addresses, `title` for people."""

    name: str
    title: str


class LoginPages:
    """Sign in and out.

    Args:
        view: makes pages.
        login: checks names and passwords, as everywhere else.
        sessions: begins and ends them.
        providers: of people who sign in elsewhere.
    """

    def __init__(self, view: View, login: Login, sessions: Sessions, providers: Sequence[Provider]) -> None:
        self._view = view
        self._login = login
        self._sessions = sessions
        self._providers = tuple(providers)

    async def front(self, request: Request, visitor: Visitor | None) -> Response:
        """From `/` to where there is something to do."""
        return self._view.redirect(303, f"{request.prefix}{LOGIN if visitor is None else ACCOUNT}")

    async def show(self, request: Request, visitor: Visitor | None) -> Response:
        """The page; who is signed in already is sent on."""
        after = safe_next(request.value("next") or "", request.prefix)
        if visitor is not None:
            return self._view.redirect(303, after or f"{request.prefix}{ACCOUNT}")
        return self._form(request, 200, after)

    async def enter(self, request: Request, visitor: Visitor | None) -> Response:
        """Begin a session for a name and a password, and end the one that the browser had.

        What is refused gets the form again, with the reason.
        """
        form = await read_own_form(request, login_secret(request))
        name, password, after = form.one("name"), form.one("password"), safe_next(form.one("next"), request.prefix)
        try:
            proof = await self._login.enter(name, password, request.address, request.id)
        except (Unauthorized, TooManyRequests, Denied, Unavailable) as error:
            return self._refused(request, error, after, name)
        request.caller = Caller(proof.identity, NOTHING, request.address, request.id)
        secret = await self._sessions.create(
            proof.identity.id, proof.epoch, request.address, old=shown_session(request), request_id=request.id
        )
        return self._view.redirect(303, after or f"{request.prefix}{ACCOUNT}", [session_cookie(request, secret)])

    async def leave(self, request: Request, visitor: Visitor | None) -> Response:
        """End the session."""
        if visitor is not None:
            await read_own_form(request, visitor.secret)
            await self._sessions.end(visitor.secret, request.address, request.id)
        return self._view.redirect(303, f"{request.prefix}{LOGIN}", [session_cookie(request, "")])

    def _refused(self, request: Request, error: RegistryError, after: str, name: str) -> Response:
        log_failure(request, error)
        words = WRONG if isinstance(error, Unauthorized) else error.message
        return self._form(request, error.status, after, name=name, wrong=words, error=error)

    def _form(
        self,
        request: Request,
        status: int,
        after: str,
        *,
        name: str = "",
        wrong: str = "",
        error: RegistryError | None = None,
    ) -> Response:
        headers = extra_headers(error) if error is not None else []
        secret = login_secret(request)
        if not secret:
            secret, cookie = new_login_secret(request)
            headers.append(cookie)
        return self._view.page(
            request,
            status,
            "login",
            headers,
            providers=self._providers,
            token=token_of(secret),
            after=after,
            name=name,
            wrong=wrong,
        )
