"""Who looks at a page: somebody with a session, or nobody that we know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.accounts.sessions import COOKIE, LIFE_SECONDS
from moorage.core.access import ANONYMOUS, EVERYTHING, NOTHING, Caller, Identity
from moorage.core.audit import REFUSED, AuditEntry
from moorage.http.cookies import is_secure, read_cookies, set_cookie

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.accounts.sessions import Sessions
    from moorage.http.request import Request
    from moorage.http.request_limit import RequestLimit
    from moorage.http.response import Header


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a session.

    caller: who that is. secret: of the session.
    """

    caller: Caller
    secret: str = field(repr=False)

    @property
    def identity(self) -> Identity:
        """Who that is."""
        return self.caller.identity


class Visitors:
    """Finds out who asks for a page, once a request.

    Args:
        sessions: knows them.
        limit: how often somebody may ask; None where that is not limited.
        note: takes note of cookies whose session has ended.
    """

    def __init__(self, sessions: Sessions, limit: RequestLimit | None, note: Callable[[AuditEntry], None]) -> None:
        self._sessions = sessions
        self._limit = limit
        self._note = note

    async def find(self, request: Request) -> Visitor | None:
        """Who that is; None for somebody without a session. The request is counted.

        Raises:
            TooManyRequests: it is one too many.
        """
        secret = shown_session(request)
        identity = await self._sessions.identify(secret) if secret else None
        if self._limit is not None:
            await self._limit.count(request, identity or ANONYMOUS)
        if not secret or identity is None:
            request.caller = Caller(ANONYMOUS, NOTHING, request.address, request.id)
            if secret:
                self._ended(request)
            return None
        rights = EVERYTHING if identity.admin else NOTHING
        request.caller = Caller(identity, rights, request.address, request.id)
        return Visitor(request.caller, secret)

    def _ended(self, request: Request) -> None:
        who = Identity("", "unknown", credential="session")
        caller = Caller(who, NOTHING, request.address, request.id)
        self._note(AuditEntry("login", REFUSED, caller, "user", "", detail={"reason": "session"}))


def shown_session(request: Request) -> str:
    """The secret of the session that the browser shows, dead or alive; empty without one."""
    return read_cookies(request).get(COOKIE, "")


def session_cookie(request: Request, secret: str) -> Header:
    """The header that gives a browser its session; with an empty `secret` the one that takes it away."""
    seconds = LIFE_SECONDS if secret else 0
    return set_cookie(COOKIE, secret, path="/", secure=is_secure(request), seconds=seconds)
