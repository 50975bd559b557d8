"""The way to the management API: a request of ours in, an answer of ours out, the framework between.

The framework is imported and the API built by the first request, in a thread, so that a worker whom nobody asks for it
starts as fast and stays as small as without it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from moorage.core.audit import REFUSED, AuditEntry
from moorage.core.errors import RouteUnknown
from moorage.http.api.errors import BodyTooLarge, problem_of
from moorage.http.response import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from moorage.http.request import Request
    from moorage.http.response import Header

    Message = dict[str, Any]
    Application = Callable[
        [dict[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
    ]

MOST_BODY = 1024 * 1024
"""Bytes of a request's body."""

REQUEST = "moorage.request"
"""Where our request is in the scope that the framework gets."""

OFF = "The management API is not here where another program gives out the tokens (auth.token): accounts are kept there."
_WAITING = 4


class ApiDoor:
    """An implementation of `moorage.http.door.Door`.

    Args:
        load: imports and builds the API; called once, in a thread. None: there is none.
        note: has what was refused written to the audit log; None where there is none.
    """

    def __init__(
        self, load: Callable[[], Application] | None, note: Callable[[AuditEntry], None] | None = None
    ) -> None:
        self._note = note
        self._load = load
        self._lock = asyncio.Lock()
        self._application: Application | None = None

    def knows(self, path: str) -> bool:
        """All paths below `/api`."""
        return path == "/api" or path.startswith("/api/")

    async def answer(self, request: Request) -> Response:
        """The answer; errors are problem documents."""
        request.route = "api"
        try:
            application = await self._built()
            return await self._ask(application, request)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client gets a problem document, the log the rest
            status, headers, body = problem_of(error, request.id, browser=request.header(b"sec-fetch-mode") is not None)
            return Response(status, [(name.encode(), value.encode("latin-1")) for name, value in headers.items()], body)

    async def _built(self) -> Application:
        if self._load is None:
            raise RouteUnknown(OFF)
        if self._application is None:
            async with self._lock:
                if self._application is None:
                    self._application = await asyncio.to_thread(self._load)
        return self._application

    async def _ask(self, application: Application, request: Request) -> Response:
        exchange = _Exchange(await _body(request))
        scope = _scope(request)
        task = asyncio.create_task(exchange.run(application, scope))
        try:
            status, headers, first, more = await exchange.begun()
        except BaseException:
            task.cancel()
            raise
        if status == HTTPStatus.FORBIDDEN and self._note is not None:
            detail: dict[str, object] = {"method": request.method}
            self._note(AuditEntry("access", REFUSED, request.caller, "system", request.path[:200], detail=detail))
        headers = [header for header in headers if header[0] != b"x-request-id"]
        headers.append((b"x-request-id", request.id.encode()))
        if all(name != b"cache-control" for name, _ in headers):
            headers.append((b"cache-control", b"no-store"))
        if not more:
            return Response(status, headers, first)
        if request.method == "HEAD":
            await _end(task)
            return Response(status, headers)
        return Response(status, headers, _pieces(exchange, first, task))


class _Exchange:
    """One request to the framework, whose answer is taken piece by piece."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._sent: asyncio.Queue[Message | Exception | None] = asyncio.Queue(_WAITING)

    async def run(self, application: Application, scope: dict[str, Any]) -> None:
        """Let the framework answer; what it raises is told to whoever takes the answer."""
        try:
            await application(scope, self._receive, self._sent.put)
        except Exception as error:  # noqa: BLE001 - raised again where somebody can answer
            await self._sent.put(error)
        else:
            await self._sent.put(None)

    async def begun(self) -> tuple[int, list[Header], bytes, bool]:
        """Status, headers, the first piece of the body, and whether there are more.

        Raises:
            Exception: what the framework raised before it answered.
        """
        start = await self.next()
        if start is None:
            raise RuntimeError("the API gave no answer")
        piece = await self.next()
        if piece is None:
            raise RuntimeError("the API gave no body")
        headers = [(name.lower(), value) for name, value in start.get("headers", ())]
        return start["status"], headers, piece.get("body", b""), piece.get("more_body", False)

    async def next(self) -> Message | None:
        """The next message; None at the end."""
        found = await self._sent.get()
        if isinstance(found, Exception):
            raise found
        return found

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            await asyncio.Event().wait()  # who left is noticed by whoever sends: our task is then cancelled
        return {"type": "http.request", "body": body or b"", "more_body": False}


async def _pieces(exchange: _Exchange, first: bytes, task: asyncio.Task[None]) -> AsyncIterator[bytes]:
    try:
        yield first
        while (message := await exchange.next()) is not None:
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                break
    finally:
        await _end(task)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _body(request: Request) -> bytes:
    if (request.content_length() or 0) > MOST_BODY:
        raise BodyTooLarge
    pieces = []
    async for piece in request.body():
        pieces.append(piece)
        if request.received > MOST_BODY:
            raise BodyTooLarge
    return b"".join(pieces)


def _scope(request: Request) -> dict[str, Any]:
    """What the framework is told (ASGI 3). It never sees a prefix: links are made with our request's."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET" if request.method == "HEAD" else request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": "",
        "query_string": request.query_string,
        "headers": list(request.headers.items()),
        "client": None,
        "server": None,
        REQUEST: request,
    }
