"""Who asks the management API: credentials in `Authorization`, else a session's cookie, else a client certificate.

Basic takes what it takes everywhere; Bearer a personal access token or a robot's secret.

Registry tokens of `/token` are not taken: they are for repositories, and say nothing of who may change accounts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from moorage.accounts.sessions import COOKIE
from moorage.core.access import ANONYMOUS, EVERYTHING, NOTHING, Caller, Identity
from moorage.core.audit import REFUSED, AuditEntry
from moorage.core.errors import Denied, ObjectUnknown, Unauthorized
from moorage.http.api.door import REQUEST
from moorage.http.certificate import certificate_owner
from moorage.http.cookies import read_cookies
from moorage.http.same_site import SAFE, check_open_host, check_same_site

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moorage.accounts.sessions import Sessions
    from moorage.auth.ports import Authenticator, CertificateOwners
    from moorage.http.request import Request as OurRequest
    from moorage.http.request_limit import RequestLimit

    Ask = Callable[[Request], Awaitable[Caller]]

OPEN = Identity("", "system", admin=True)
"""Everybody, where the registry is open (`auth: none`)."""

_FOR_IMAGES = (
    "A registry token is good for /v2/ only; use Basic authentication, a personal access token or a session here."
)


class WhoAsks:
    """Finds out who asks, by what the server's mode allows.

    Args:
        mode: "none" (everybody is an admin), "htpasswd" (every user of the file is) or "local".
        authenticator: reads `Authorization`; None where the registry is open.
        sessions: knows the cookie's session; None where there are none.
        limit: how often somebody may ask; None where that is not limited.
        note: has what was refused written to the audit log; None where there is none.
        certificates: whose client certificates are; None: they are not looked at.
    """

    def __init__(
        self,
        mode: str,
        authenticator: Authenticator | None,
        sessions: Sessions | None,
        limit: RequestLimit | None = None,
        note: Callable[[AuditEntry], None] | None = None,
        certificates: CertificateOwners | None = None,
    ) -> None:
        self._certificates = certificates
        self._limit = limit
        self._note = note
        self._mode = mode
        self._authenticator = authenticator
        self._sessions = sessions

    async def __call__(self, request: Request) -> Caller:
        """The caller; anonymous without credentials.

        Raises:
            Unauthorized: credentials that are wrong, or registry tokens.
            Denied: a change asked for by a page of another site, or by a strange name where the registry is open.
            TooManyRequests: this is one too many.
        """
        ours: OurRequest = request.scope[REQUEST]
        try:
            identity = await self._identity(ours)
        except (Unauthorized, Denied):
            await self.count(ours)
            raise
        await self.count(ours, identity if identity is not OPEN else ANONYMOUS)
        caller = Caller(identity, EVERYTHING if identity.admin else NOTHING, ours.address, ours.id)
        ours.caller = caller
        return caller

    async def count(self, ours: OurRequest, identity: Identity = ANONYMOUS) -> None:
        """Count a request.

        Raises:
            TooManyRequests: it is one too many.
        """
        if self._limit is not None:
            await self._limit.count(ours, identity)

    def _ended(self, ours: OurRequest) -> None:
        """Note that a cookie was shown whose session has ended, or never was."""
        if self._note is not None:
            caller = Caller(Identity("", "unknown", credential="session"), NOTHING, ours.address, ours.id)
            self._note(AuditEntry("login", REFUSED, caller, "user", "", detail={"reason": "session"}))

    async def _identity(self, ours: OurRequest) -> Identity:
        authorization = ours.header(b"authorization")
        secret = read_cookie(ours) if authorization is None and self._sessions is not None else None
        check_origin(ours, needed=secret is not None)
        if self._authenticator is None:
            if ours.method not in SAFE:
                check_open_host(ours)
            return OPEN
        if secret is not None and self._sessions is not None:
            found = await self._sessions.identify(secret)
            if found is not None:
                return found
            self._ended(ours)
        if authorization is None:
            return await certificate_owner(self._certificates, ours) or ANONYMOUS
        identity = self._authenticator.known(authorization)
        if identity is None:
            identity = await self._authenticator.identify(authorization, ours.address, ours.id)
        if identity.access is not None:
            raise Unauthorized(_FOR_IMAGES)
        if self._mode == "htpasswd" and identity is not ANONYMOUS:
            return replace(identity, admin=True)
        return identity


def check_origin(ours: OurRequest, *, needed: bool) -> None:
    """Refuse a change that a page of another site asks for with the browser's own credentials (CSRF).

    Args:
        ours: the request.
        needed: whether the browser has to say where it comes from, because its cookie is all that proves who it is.

    Raises:
        Denied: it comes from elsewhere, or does not say.
    """
    if ours.method not in SAFE:
        check_same_site(ours, needed=needed)


def read_cookie(ours: OurRequest) -> str | None:
    """The secret of the session that the browser shows; None without one."""
    return read_cookies(ours).get(COOKIE) or None


async def _asked(request: Request) -> OurRequest:
    ours: OurRequest | None = request.scope.get(REQUEST)
    if ours is None:
        raise ObjectUnknown("There are sessions only at a server.")
    await request.app.state.ask.count(ours)
    check_origin(ours, needed=read_cookie(ours) is not None)
    return ours


Asked = Annotated[Any, Depends(_asked)]
"""Our own request, for what works without knowing who asks: login and logout. Pages of other sites are refused."""


async def _anybody(request: Request) -> Caller:
    ask: Ask = request.app.state.ask
    caller: Caller = await ask(request)
    return caller


Anybody = Annotated[Caller, Depends(_anybody)]
"""Who asks, anonymous too. A handler that takes this is public unless its use case says no."""


async def _known(caller: Anybody) -> Caller:
    if caller.identity is ANONYMOUS or caller.identity.kind == "anonymous":
        raise Unauthorized
    return caller


Known = Annotated[Caller, Depends(_known)]
"""Who asks, and proved it. What handlers take."""
