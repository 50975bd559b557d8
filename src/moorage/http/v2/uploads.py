"""Doors to upload sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.digest import CANONICAL, Digest, parse_digest
from moorage.core.errors import DigestInvalid, NameInvalid, SizeInvalid
from moorage.core.names import parse_name
from moorage.core.ranges import parse_chunk_range
from moorage.http.response import Response
from moorage.registry.chunk import Chunk

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.response import Header
    from moorage.http.v2.guard import Guard
    from moorage.registry.mount import Mount
    from moorage.registry.upload import Uploads

_EMPTY: Header = (b"content-length", b"0")


class UploadSessions:
    """Handlers of `/v2/<name>/blobs/uploads/` and of the sessions below it.

    guard: says what may be mounted; None where the registry is open.
    """

    def __init__(self, uploads: Uploads, mount: Mount, guard: Guard | None = None) -> None:
        self._uploads = uploads
        self._guard = guard
        self._mount = mount

    async def begin(self, request: Request) -> Response:
        """`POST`: a session (end-4a), a whole blob (`?digest=`, end-4b), or a mount (`?mount=`, end-11)."""
        name = parse_name(request.name)
        mount = _mount(request)
        if mount is not None and await self._mounted(request, name, mount):
            return _created(request, name, mount)
        wanted = request.value("digest")
        digest = parse_digest(wanted) if wanted and mount is None else None
        algorithm = request.value("digest-algorithm") or (digest.algorithm if digest else CANONICAL)
        if digest is not None:
            await self._uploads.whole(name, digest, Chunk(request.body()), request.caller, algorithm)
            return _created(request, name, digest)
        upload = await self._uploads.begin(name, request.caller, algorithm)
        return Response(202, _session(request, name, upload.id, 0))

    async def status(self, request: Request) -> Response:
        """`GET` (end-13): where it stands. `0--1` is nothing yet: regclient resumes rightly from that alone."""
        name = parse_name(request.name)
        size = await self._uploads.status(name, request.reference)
        headers = _session(request, name, request.reference, size)
        headers[1] = (b"range", b"0-%d" % (size - 1))
        return Response(204, headers[:-1])

    async def append(self, request: Request) -> Response:
        """`PATCH` (end-5): a chunk with `Content-Range`, or a stream without."""
        name = parse_name(request.name)
        request.location = _address(request, name, request.reference)
        size = await self._uploads.append(name, request.reference, _chunk(request))
        return Response(202, _session(request, name, request.reference, size))

    async def finish(self, request: Request) -> Response:
        """`PUT` (end-6): the last chunk or nothing, and the digest of it all."""
        name = parse_name(request.name)
        request.location = _address(request, name, request.reference)
        digest = _digest(request)
        nothing = request.content_length() == 0 and b"content-range" not in request.headers
        chunk = None if nothing else _chunk(request)
        await self._uploads.finish(name, request.reference, digest, chunk, request.caller)
        return _created(request, name, digest)

    async def cancel(self, request: Request) -> Response:
        """`DELETE` (end-14): the session and its bytes are forgotten."""
        await self._uploads.cancel(parse_name(request.name), request.reference)
        return Response(204, [])

    async def _mounted(self, request: Request, name: str, digest: Digest) -> bool:
        source = request.value("from")
        if source:
            try:
                source = parse_name(source)
            except NameInvalid:
                return False
            if self._guard is not None and not await self._guard.may_mount(request, name, source):
                return False
        return await self._mount.blob(name, digest, source or None, request.caller)


def _chunk(request: Request) -> Chunk:
    header = request.header(b"content-range")
    if header is None:
        return Chunk(request.body())
    start, stop = parse_chunk_range(header)
    length = request.content_length()
    if length is not None and length != stop - start:
        raise SizeInvalid(
            "Content-Length and Content-Range of the chunk differ.",
            {"content-length": length, "content-range": header[:100]},
        )
    return Chunk(request.body(), start, stop - start)


def _mount(request: Request) -> Digest | None:
    """The digest to mount. One that is none cannot be mounted, and what cannot be mounted is uploaded (end-11)."""
    try:
        return parse_digest(request.value("mount") or "")
    except DigestInvalid:
        return None


def _digest(request: Request) -> Digest:
    digest = request.value("digest")
    if not digest:
        raise DigestInvalid("The request needs the parameter digest: the digest of the whole blob.")
    return parse_digest(digest)


def _address(request: Request, name: str, key: str) -> str:
    return f"{request.prefix}/v2/{name}/blobs/uploads/{key}"


def _session(request: Request, name: str, key: str, size: int) -> list[Header]:
    # docker parses the range as two numbers and wants the end not before the start, also of nothing.
    return [
        (b"location", _address(request, name, key).encode()),
        (b"range", b"0-%d" % max(0, size - 1)),
        (b"docker-upload-uuid", key.encode("latin-1", "replace")),
        _EMPTY,
    ]


def _created(request: Request, name: str, digest: Digest) -> Response:
    location = f"{request.prefix}/v2/{name}/blobs/{digest}".encode()
    return Response(201, [(b"location", location), (b"docker-content-digest", digest.encode()), _EMPTY])
