"""`/` where there are no accounts to sign in to: what this is, and how to push a first image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.access import ANONYMOUS
from moorage.core.errors import Unsupported

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.request_limit import RequestLimit
    from moorage.http.response import Response
    from moorage.http.ui.view import View


class FrontPage:
    """The page, the same for everybody; it tells nothing of what is in the registry.

    Args:
        view: makes pages.
        limit: how often somebody may ask; None where that is not limited.
        version: of this program; empty where it is not to be told.
        login: whether a push takes a login.
    """

    def __init__(self, view: View, limit: RequestLimit | None, version: str, *, login: bool) -> None:
        self._view = view
        self._limit = limit
        self._version = version
        self._login = login

    async def answer(self, request: Request) -> Response:
        """The page.

        Raises:
            TooManyRequests: this request is one too many.
            Unsupported: it is neither GET nor HEAD.
        """
        if self._limit is not None:
            await self._limit.count(request, ANONYMOUS)
        if request.method not in ("GET", "HEAD"):
            raise Unsupported("This address answers GET, HEAD only.", headers=(("allow", "GET, HEAD"),))
        return self._view.page(request, 200, "front", host=_host(request), version=self._version, login=self._login)


def _host(request: Request) -> str:
    """Where we are, as it stands in the name of an image: docker takes one word alone for a name at Docker Hub."""
    scheme, _, host = request.origin().partition("://")
    if host and host != "localhost" and "." not in host and ":" not in host:
        return f"{host}:{443 if scheme == 'https' else 80}"
    return host or "localhost:5000"
