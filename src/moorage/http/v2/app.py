"""The distribution API as one ASGI application: who asks, which route, the answer.

It never sends anything itself: `moorage.http.root` does, once for all doors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError
from moorage.http.response import Response
from moorage.http.v2.routes import Table, endpoint, match

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.v2.guard import Guard
    from moorage.http.v2.limits import RateGate


class DistributionApi:
    """Answers all requests below `/v2`.

    Args:
        routes: the table of `routes.table`.
        guard: who asks, and whether they may; None where the registry is open.
        gate: how often they may ask; None where that is not limited.
    """

    def __init__(self, routes: Table, guard: Guard | None, gate: RateGate | None = None) -> None:
        self._routes = routes
        self._guard = guard
        self._gate = gate

    def knows(self, request: Request) -> bool:
        """Whether it can be told at once, in any thread, who asks."""
        return self._guard is None or self._guard.knows(request)

    def options(self, request: Request) -> Response:
        """The answer to OPTIONS, which browsers send ahead of a request, without its credentials (CORS).

        It says what a route answers to, the same for every name and to everybody: what there is has no part in it.

        Raises:
            RouteUnknown: no route looks like that.
        """
        request.route, *_ = match(request.path)
        allowed = ", ".join(sorted({*self._routes[request.route], "OPTIONS"}))
        return Response(200, [(b"allow", allowed.encode())])

    async def answer(self, request: Request) -> Response:
        """The answer.

        Raises:
            RegistryError: what went wrong, to be made an answer of by the caller.
        """
        try:
            if self._guard is not None:
                handler = await self._guard.admit(request, self._routes)
            else:
                request.route, request.name, request.reference = match(request.path)
                handler = endpoint(self._routes, request.route, request.method).handler
        except RegistryError as error:
            if self._gate is not None:
                await self._gate.turned_away(request, error)
            raise
        try:
            if self._gate is not None:
                return await self._gate.serve(request, request.caller.identity, handler)
            return await handler(request)
        except RegistryError as error:  # what is asked for is known only now: a tag that is there, another source
            if self._guard is not None:
                await self._guard.review(request, error)
            raise
