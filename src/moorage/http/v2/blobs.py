"""Doors to finished blobs."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from moorage.accounts.audit_pulls import BLOB
from moorage.blobs.ports import Chunks, Inline, Redirect
from moorage.core.digest import parse_digest
from moorage.core.names import parse_name
from moorage.core.ranges import parse_range
from moorage.http.response import Response
from moorage.http.v2.conditions import not_modified

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from moorage.accounts.audit_pulls import PullLog
    from moorage.blobs.ports import Source
    from moorage.core.ranges import Span
    from moorage.http.request import Request
    from moorage.http.response import Header
    from moorage.registry.delete import Delete
    from moorage.registry.pull import LinkedBlob, Pull

_TYPE: Header = (b"content-type", b"application/octet-stream")
_ACCEPT: Header = (b"accept-ranges", b"bytes")
_CACHE: Header = (b"cache-control", b"max-age=31536000")
"""Content never changes under its digest."""


class Blobs:
    """Handlers of `/v2/<name>/blobs/<digest>`.

    Args:
        pull, delete: the use cases.
        pulls: takes note of what is sent for the audit log; None where that is not in it.
    """

    def __init__(self, pull: Pull, delete: Delete, pulls: PullLog | None = None) -> None:
        self._pulls = pulls
        self._pull = pull
        self._delete = delete

    async def head(self, request: Request) -> Response:
        """`HEAD`: size and digest; whoever is told "exists", by 304 too, can rely on it (the lease is renewed)."""
        digest = parse_digest(request.reference)
        blob = await self._pull.promise(parse_name(request.name), digest)
        if not_modified(request, digest):
            return Response(304, _facts(blob))
        return Response(200, [_TYPE, *_facts(blob), (b"content-length", b"%d" % blob.size)])

    async def get(self, request: Request) -> Response:
        """`GET`: all of it, one range, or several as multipart (RFC 9110 section 14)."""
        digest = parse_digest(request.reference)
        blob = await self._pull.blob(parse_name(request.name), digest, request.caller.bound)
        facts = _facts(blob)
        if not_modified(request, digest):
            return Response(304, facts)
        spans = _spans(request, blob)
        if spans is None:
            response = await self._send(blob, 200, [_TYPE, *facts], (0, blob.size))
        elif len(spans) == 1:
            start, stop = spans[0]
            content_range = (b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, blob.size))
            response = await self._send(blob, 206, [_TYPE, *facts, content_range], spans[0])
        else:
            response = await self._send_parts(blob, facts, spans)
        if self._pulls is not None:
            if not isinstance(response.body, bytes):
                asyncio.get_running_loop()  # a thread without one cannot send it: the loop asks again, and notes it
            self._pulls.note(request.caller, request.name, digest, action=BLOB)
        return response

    async def delete(self, request: Request) -> Response:
        """`DELETE` (end-10): gone from this repository when answered."""
        await self._delete.blob(parse_name(request.name), parse_digest(request.reference), request.caller)
        return Response(202, [(b"content-length", b"0")])

    async def _send(self, blob: LinkedBlob, status: int, headers: list[Header], span: Span) -> Response:
        start, stop = span
        source = await self._pull.source(blob, start, stop)
        headers.append((b"content-length", b"%d" % (stop - start)))
        if isinstance(source, Inline):
            return Response(status, headers, source.data)
        if isinstance(source, Chunks):
            return Response(status, headers, source.pieces)
        return _elsewhere(source)

    async def _send_parts(self, blob: LinkedBlob, facts: list[Header], spans: list[Span]) -> Response:
        # Content that is not there, or not whole, is found out while there can still be another answer.
        first = await self._pull.source(blob, *spans[0])
        if isinstance(first, Redirect):
            return _elsewhere(first)
        boundary = secrets.token_hex(16).encode()
        heads = [_part_head(boundary, span, blob.size) for span in spans]
        tail = b"\r\n--%b--\r\n" % boundary
        length = len(tail) + sum(len(head) for head in heads) + sum(stop - start for start, stop in spans)
        content_type = (b"content-type", b"multipart/byteranges; boundary=%b" % boundary)
        headers = [content_type, *facts, (b"content-length", b"%d" % length)]
        return Response(206, headers, self._parts(blob, list(zip(heads, spans, strict=True)), tail, first))

    async def _parts(
        self, blob: LinkedBlob, parts: list[tuple[bytes, Span]], tail: bytes, first: Source
    ) -> AsyncIterator[bytes]:
        ready: Source | None = first
        for head, (start, stop) in parts:
            yield head
            source = ready or await self._pull.source(blob, start, stop)
            ready = None
            if isinstance(source, Inline):
                yield source.data
            elif isinstance(source, Chunks):
                async for piece in source.pieces:
                    yield piece
        yield tail


def _elsewhere(source: Redirect) -> Response:
    return Response(307, [(b"location", source.url.encode()), (b"content-length", b"0")])


def _facts(blob: LinkedBlob) -> list[Header]:
    digest = blob.digest.encode()
    return [(b"docker-content-digest", digest), (b"etag", b'"%b"' % digest), _ACCEPT, _CACHE]


def _spans(request: Request, blob: LinkedBlob) -> list[Span] | None:
    header = request.header(b"range")
    if header is None:
        return None
    if_range = request.header(b"if-range")
    if if_range is not None and if_range.strip() != f'"{blob.digest}"':
        return None
    return parse_range(header, blob.size)


def _part_head(boundary: bytes, span: Span, size: int) -> bytes:
    return b"\r\n--%b\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes %d-%d/%d\r\n\r\n" % (
        boundary,
        span[0],
        span[1] - 1,
        size,
    )
