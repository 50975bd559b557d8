"""The outermost door: takes a request, finds the door for it, sends the answer, counts and logs it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from moorage.core.errors import RegistryError, RouteUnknown
from moorage.http.errors import error_response
from moorage.http.forwarded import Forwarded
from moorage.http.framing import check_framing, looks_strange
from moorage.http.now import finish_now
from moorage.http.request import Request
from moorage.http.response import Response
from moorage.telemetry.probe import no_probe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from moorage.http.door import Door
    from moorage.http.health import Health
    from moorage.http.request import Receive
    from moorage.http.response import Header
    from moorage.http.settings import HttpSettings
    from moorage.http.v2.app import DistributionApi
    from moorage.telemetry.access import AccessLog
    from moorage.telemetry.metrics import Metrics
    from moorage.telemetry.probe import Probe

    Scope = dict[str, Any]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

DISCARD = 1024 * 1024
"""Bytes of a refused body that are read so that the connection can go on."""

DISCARD_SECONDS = 5.0

LINGER = 32 * 1024 * 1024
"""Bytes of a longer one that are read after the answer, before the connection closes: a client that sends all of it
first would be stopped by that, and never see why."""

LINGER_SECONDS = 10.0

TURN = 4
"""Pieces of an answer that are sent before others have their turn."""

_NO_BODY = frozenset({204, 304})
_AT_ONCE = frozenset({"GET", "HEAD"})


class Root:
    """The ASGI application of a worker.

    Args:
        v2: the distribution API.
        health: `/healthz` and its like.
        settings: prefix, headers, trusted proxies, patience.
        metrics: counts requests; None where switched off.
        access: the access log; None where switched off.
        new_id: gives each request its identifier, from its X-Request-Id header where that is sane.
        startup, shutdown: run when the worker begins and ends.
        doors: asked in this order for what is neither.
        quick: whether `at_once` may try: what it uses must allow several threads.
    """

    def __init__(  # noqa: PLR0913 - the outermost object is handed what it wraps
        self,
        v2: DistributionApi,
        health: Health,
        settings: HttpSettings,
        *,
        metrics: Metrics | None,
        access: AccessLog | None,
        new_id: Callable[[str | None], str],
        startup: Callable[[], Awaitable[None]],
        shutdown: Callable[[], Awaitable[None]],
        quick: bool = False,
        probe: Probe = no_probe,
        doors: Sequence[Door] = (),
    ) -> None:
        self._v2 = v2
        self._doors = tuple(doors)
        self._health = health
        self._prefix = settings.prefix.rstrip("/")
        self._idle = settings.body_idle_seconds
        self._host = settings.host
        self._forwarded = Forwarded(settings.trusted_proxies)
        self._metrics = metrics
        self._access = access
        self._new_id = new_id
        self._startup = startup
        self._shutdown = shutdown
        self._quick = quick
        self._probe = probe
        self._headers: list[Header] = [
            (b"docker-distribution-api-version", b"registry/2.0"),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in settings.headers),
        ]
        if all(name != b"x-content-type-options" for name, _ in self._headers):
            self._headers.append((b"x-content-type-options", b"nosniff"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the worker's beginning and end."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def at_once(self, scope: Scope, send: Send) -> bool:
        """Serve a GET or HEAD that waits for nothing, in a thread that has no loop; False where nothing was done.

        What would wait, or belongs to the loop's thread, asks for the running loop and finds none. That, and whatever
        goes wrong but for the client's own errors, is left to `__call__`, which does it from the start.
        """
        if not self._quick or scope["method"] not in _AT_ONCE:
            return False
        begun = time.perf_counter()
        request = self._request(scope, _nothing)
        if _has_body(request) or looks_strange(scope["headers"], request.headers):
            return False
        if not request.path.startswith("/v2/") or not self._v2.knows(request):
            return False
        try:
            response = finish_now(self._v2.answer(request))
        except RegistryError as error:
            response = self._refusal(error, request, scope)
        except Exception:  # noqa: BLE001 - it is tried again in the loop
            return False
        if not isinstance(response.body, bytes):
            return False
        self._probe("response")
        self._account(scope, request, response.status, finish_now(self._send(request, response, send)), begun)
        return True

    def _request(self, scope: Scope, receive: Receive) -> Request:
        path: str = scope["path"]
        if self._prefix and not self._health.knows(path):
            below = f"{path}/" if path == self._prefix else path
            path = below[len(self._prefix) :] if below.startswith(f"{self._prefix}/") else f"//{path}"
        request = Request(scope, receive, path, self._new_id(None), self._idle, self._forwarded, self._host)
        given = request.header(b"x-request-id")
        if given is not None:
            request.id = self._new_id(given)
        request.prefix = self._prefix
        return request

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        request = self._request(scope, receive)
        response = await self._answer(request, scope)
        lingers = False
        if not request.complete and _has_body(request):
            # Who was given up for standing still is not waited for again.
            lingers = response.status != 408 and not _waits(request)
            taken = lingers and await _discard(request)
            if taken or not scope["http_version"].startswith("1"):
                lingers = False
            else:
                # The rest of the body is in the way of the next request (RFC 9112 section 9.6).
                response.headers.append((b"connection", b"close"))
        self._probe("response")
        self._account(scope, request, response.status, await self._send(request, response, send), begun)
        if lingers:
            await _take(request, LINGER, LINGER_SECONDS)

    def _account(self, scope: Scope, request: Request, status: int, sent: int, begun: float) -> None:
        seconds = time.perf_counter() - begun
        if self._metrics is not None:
            self._metrics.observe_request(request.route, request.method, status, seconds, request.received, sent)
        if self._access is not None:
            self._log(scope, request, status, sent, seconds)

    async def _answer(self, request: Request, scope: Scope) -> Response:
        try:
            if looks_strange(scope["headers"], request.headers):
                check_framing(scope["headers"], scope["http_version"])
            if request.path.startswith("/v2"):
                if request.method == "OPTIONS":
                    return self._v2.options(request)
                return await self._v2.answer(request)
            if self._health.knows(request.path) and request.method in ("GET", "HEAD"):
                request.route = "health"
                return await self._health.answer(request)
            for door in self._doors:
                if door.knows(request.path):
                    return await door.answer(request)
            raise RouteUnknown(detail={"path": request.path[:300]})
        except RegistryError as error:
            return self._refusal(error, request, scope)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client gets JSON and the log the rest
            return error_response(error, request)

    def _refusal(self, error: RegistryError, request: Request, scope: Scope) -> Response:
        if self._prefix and isinstance(error, RouteUnknown) and error.message == RouteUnknown.default:
            # Those behind this door know of no prefix.
            error = RouteUnknown(
                f"There is nothing at this address; the registry API begins at {self._prefix}/v2/.",
                {"path": scope["path"][:300]},
            )
        return error_response(error, request)

    async def _send(self, request: Request, response: Response, send: Send) -> int:
        headers = response.headers
        body = response.body
        if isinstance(body, bytes):
            if response.status not in _NO_BODY and all(name != b"content-length" for name, _ in headers):
                headers.append((b"content-length", b"%d" % len(body)))
            headers += self._headers
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            if request.method == "HEAD":
                body = b""
            await send({"type": "http.response.body", "body": body})
            return len(body)
        headers += self._headers
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        return await _stream(request, body, send)

    def _log(self, scope: Scope, request: Request, status: int, sent: int, seconds: float) -> None:
        if self._access is None:
            return
        peer = scope.get("client")
        self._access.record(
            request.method,
            scope["path"],
            request.query_string,
            status,
            sent,
            seconds,
            self._forwarded.client(peer[0] if peer else "unix", request.headers),
            request.caller.name,
            request.header(b"user-agent") or "",
            request.id,
            f"HTTP/{scope['http_version']}",
        )

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._startup()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._shutdown()
        await send({"type": "lifespan.shutdown.complete"})


async def _stream(request: Request, pieces: AsyncIterator[bytes], send: Send) -> int:
    """Send pieces as fast as the client takes them; stop reading when it has left."""
    gone = asyncio.ensure_future(request.disconnected())
    sent = turn = 0
    try:
        async for piece in pieces:
            if gone.done():
                break
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += len(piece)
            turn += 1
            if turn % TURN == 0:
                # A client that takes all at once must not keep the others from theirs: `send` may never have waited.
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
    return sent


async def _nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def _has_body(request: Request) -> bool:
    return b"transfer-encoding" in request.headers or bool(request.content_length())


def _waits(request: Request) -> bool:
    """Whether the client waits for our word before it sends anything of its body."""
    return request.headers.get(b"expect", b"").strip().lower() == b"100-continue" and not request.received


async def _discard(request: Request) -> bool:
    """Read what nobody wants, where it is little.

    Returns:
        Whether that was all of it.
    """
    if (request.content_length() or 0) <= DISCARD:
        await _take(request, DISCARD, DISCARD_SECONDS)
    return request.complete


async def _take(request: Request, most: int, seconds: float) -> None:
    until = request.received + most
    with suppress(RegistryError, TimeoutError):
        async with asyncio.timeout(seconds):
            async for _ in request.body():
                if request.received > until:
                    break
