"""The way to the pages. They are imported by the first request for one, in a thread, as the management API is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from moorage.http.ui.addresses import ACCOUNT, FRONT, LOGIN, LOGOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.http.request import Request
    from moorage.http.response import Response


class Answers(Protocol):
    """Some pages."""

    async def answer(self, request: Request) -> Response:
        """The page, as `Door.answer` gives it."""
        ...


class PagesDoor:
    """An implementation of `moorage.http.door.Door`.

    load: imports and builds the pages; called once, in a thread. accounts: whether there is more than the front page.
    """

    def __init__(self, load: Callable[[], Answers], *, accounts: bool) -> None:
        self._load = load
        self._accounts = accounts
        self._lock = asyncio.Lock()
        self._pages: Answers | None = None

    def knows(self, path: str) -> bool:
        """See `Door.knows`."""
        if path == FRONT or not self._accounts:
            return path == FRONT
        return path in (LOGIN, LOGOUT, ACCOUNT) or path.startswith((f"{LOGIN}/", f"{ACCOUNT}/"))

    async def answer(self, request: Request) -> Response:
        """See `Door.answer`; with accounts, errors are pages."""
        if request.path == FRONT:
            request.route = "front"
        else:
            request.route = "account" if request.path.startswith(ACCOUNT) else "login"
        return await (await self._built()).answer(request)

    async def _built(self) -> Answers:
        if self._pages is None:
            async with self._lock:
                if self._pages is None:
                    self._pages = await asyncio.to_thread(self._load)
        return self._pages
