"""The door of the limits: who asked too often gets 429, and a pull is told how many are left.

The headers are Docker Hub's, which clients and caches read: `ratelimit-limit: 100;w=21600`, `ratelimit-remaining`, and
`docker-ratelimit-source`. The limit of requests is one against abuse and has none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError, TooManyRequests, Unauthorized
from moorage.http.request_limit import limit_entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moorage.accounts.rate_limits import RateLimit, Standing
    from moorage.core.access import Identity
    from moorage.core.audit import AuditEntry
    from moorage.http.request import Request
    from moorage.http.request_limit import RequestLimit
    from moorage.http.response import Response

_NEVER_REFUSED = "upload"
"""Clients give up a whole push at a 429 in the middle of an upload; they are refused at its begin instead."""


class RateGate:
    """Stands between a request that is allowed and its handler.

    Args:
        requests: the limit of all requests; None where there is none.
        pulls: the limit of pulls; None where there is none.
        note: has what was refused written to the audit log; None where there is none.
    """

    def __init__(
        self,
        requests: RequestLimit | None,
        pulls: RateLimit | None,
        note: Callable[[AuditEntry], None] | None = None,
    ) -> None:
        self._requests = requests
        self._pulls = pulls
        self._note = note

    async def turned_away(self, request: Request, error: RegistryError) -> None:
        """Count a request that was refused before its handler, for whoever asked as far as that is known.

        Who shows no credentials is told where to log in whatever was counted: every client's first request is such a
        one, also of those who may ask more often than nobody.

        Raises:
            TooManyRequests: it is not within its limits.
        """
        if self._requests is not None:
            asks = isinstance(error, Unauthorized) and request.header(b"authorization") is None
            await self._requests.count(request, request.caller.identity, refuse=not asks)

    async def serve(
        self, request: Request, identity: Identity, handler: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """The handler's answer, if the request is within its limits.

        Raises:
            TooManyRequests: it is not.
        """
        if self._requests is not None:
            await self._requests.count(request, identity, refuse=request.route != _NEVER_REFUSED)
        if self._pulls is None or request.route != "manifest" or request.method not in ("GET", "HEAD"):
            return await handler(request)
        return await self._pull(request, identity, handler, self._pulls)

    async def _pull(
        self,
        request: Request,
        identity: Identity,
        handler: Callable[[Request], Awaitable[Response]],
        pulls: RateLimit,
    ) -> Response:
        address = request.address
        counted = request.method == "GET"
        standing = await (pulls.hit if counted else pulls.look)(identity, address)
        if standing is None:
            return await handler(request)
        headers = _headers(standing)
        if standing.exceeded:
            if self._note is not None:
                self._note(limit_entry("pulls", request, identity))
            error = TooManyRequests(_reached(standing), standing.wait)
            error.headers += tuple((name.decode(), value.decode("latin-1")) for name, value in headers)
            raise error
        try:
            response = await handler(request)
        except RegistryError:
            if counted:
                await pulls.take_back(identity, address)  # what was not there was not pulled
            raise
        response.headers += headers
        return response


def _headers(standing: Standing) -> list[tuple[bytes, bytes]]:
    return [
        (b"ratelimit-limit", b"%d;w=%d" % (standing.limit, standing.seconds)),
        (b"ratelimit-remaining", b"%d;w=%d" % (standing.remaining, standing.seconds)),
        (b"docker-ratelimit-source", standing.source.encode("latin-1", "replace")),
    ]


def _reached(standing: Standing) -> str:
    return (
        f"You have reached your pull rate limit of {standing.limit} in {standing.seconds} seconds; "
        f"try again in {standing.wait} seconds, or log in where users may pull more."
    )
