"""The distribution API as one ASGI application: who asks, which route, the answer.

It never sends anything itself: `moorage.http.root` does, once for all doors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.access import ANONYMOUS
from moorage.core.errors import Unauthorized
from moorage.http.v2.routes import Table, endpoint, match

if TYPE_CHECKING:
    from moorage.auth.ports import Authenticator
    from moorage.http.request import Request
    from moorage.http.response import Response


class DistributionApi:
    """Answers all requests below `/v2`.

    Args:
        routes: the table of `routes.table`.
        authenticator: who finds out who asks; None where the registry is open.
    """

    def __init__(self, routes: Table, authenticator: Authenticator | None) -> None:
        self._routes = routes
        self._authenticator = authenticator

    async def answer(self, request: Request) -> Response:
        """The answer.

        Raises:
            RegistryError: what went wrong, to be made an answer of by the caller.
        """
        if self._authenticator is not None:
            await self._identify(request, self._authenticator)
        request.route, request.name, request.reference = match(request.path)
        return await endpoint(self._routes, request.route, request.method).handler(request)

    async def _identify(self, request: Request, authenticator: Authenticator) -> None:
        """Set the request's identity. A 401 on every path carries the challenge, as clients need it."""
        credentials = request.header(b"authorization")
        identity = authenticator.known(credentials) or await authenticator.identify(credentials)
        if identity is ANONYMOUS:
            raise Unauthorized(challenge=authenticator.challenge())
        request.identity = identity
