"""Doors to manifests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from moorage.core.digest import Digest, looks_like_digest, parse_digest
from moorage.core.errors import ManifestUnknown, TagInvalid, TooManyTags
from moorage.core.names import parse_name, parse_reference, parse_tag
from moorage.http.response import Response
from moorage.http.v2.conditions import condition, not_modified
from moorage.http.v2.spool import Spool
from moorage.registry.push import Wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from moorage.accounts.audit_pulls import PullLog
    from moorage.core.names import Reference, Tag
    from moorage.http.request import Request
    from moorage.http.response import Header
    from moorage.registry.delete import Delete
    from moorage.registry.pull import Pull
    from moorage.registry.push import Push, Pushed

MAX_TAGS = 50
"""`tag` parameters in one request; the specification wants ten to work and 414 above a limit."""

MAX_WARNINGS = 4096
"""Bytes of all Warning headers together (specification, "Warnings")."""


class Manifests:
    """Handlers of `/v2/<name>/manifests/<tag or digest>`.

    Args:
        pull, push, delete: the use cases.
        spool: takes payloads.
        pulls: takes note of pulls for the audit log; None where they are not in it.
    """

    def __init__(self, pull: Pull, push: Push, delete: Delete, spool: Spool, pulls: PullLog | None = None) -> None:
        self._pulls = pulls
        self._pull = pull
        self._push = push
        self._delete = delete
        self._spool = spool

    async def get(self, request: Request) -> Response:
        """`GET` and `HEAD` (end-3): the bytes as they were pushed, whatever the client says it accepts."""
        name, reference = parse_name(request.name), _sought(request.reference)
        manifest = await self._pull.manifest(name, reference, request.caller.bound)
        digest = manifest.digest.encode()
        headers: list[Header] = [
            (b"content-type", manifest.media_type.encode("latin-1")),
            (b"content-length", b"%d" % manifest.size),
            (b"docker-content-digest", digest),
            (b"etag", b'"%b"' % digest),
        ]
        if b"if-none-match" in request.headers and not_modified(request, manifest.digest):
            return Response(304, headers[2:])
        if request.method == "HEAD":
            return Response(200, headers)
        body = manifest.payload if manifest.payload is not None else self._pull.payload(manifest)
        if self._pulls is not None:
            tag = "" if isinstance(reference, Digest) else reference
            note = partial(self._pulls.note, request.caller, name, manifest.digest, tag)
            if isinstance(body, bytes):
                note()
            else:
                body = _noted(body, note)
        return Response(200, headers, body)

    async def put(self, request: Request) -> Response:
        """`PUT` (end-7): by tag, by digest, by digest with tags (`?tag=`), by tag with a digest (`?digest=`)."""
        name = parse_name(request.name)
        reference = parse_reference(request.reference)
        tags = _tags(request)
        digest = request.value("digest")
        async with self._spool.payload(request) as payload:
            wish = Wish(
                name=name,
                reference=reference,
                tags=tags,
                content_type=request.header(b"content-type") or "",
                payload=payload,
                condition=condition(request),
                digest=parse_digest(digest) if digest else None,
            )
            pushed = await self._push.manifest(wish, request.caller)
        return Response(
            201, _created(request, name, pushed, tags if isinstance(reference, Digest) else (reference, *tags))
        )

    async def delete(self, request: Request) -> Response:
        """`DELETE` (end-9): a tag alone, or a manifest with all its tags."""
        name = parse_name(request.name)
        await self._delete.manifest(name, _sought(request.reference), request.caller)
        return Response(202, [(b"content-length", b"0")])


async def _noted(pieces: AsyncIterator[bytes], note: Callable[[], None]) -> AsyncIterator[bytes]:
    """The pieces; noted when they are sent, since an answer in pieces may be made twice and sent once."""
    note()
    async for piece in pieces:
        yield piece


def _sought(reference: str) -> Reference:
    """What to look for. That no tag is written like that is no error of who asks: there is none of that name."""
    if looks_like_digest(reference):
        return parse_digest(reference)
    try:
        return parse_tag(reference)
    except TagInvalid:
        raise ManifestUnknown(detail={"reference": reference[:200]}) from None


def _tags(request: Request) -> tuple[Tag, ...]:
    given = request.values("tag")
    if len(given) > MAX_TAGS:
        raise TooManyTags(f"At most {MAX_TAGS} tags in one request; push the manifest again with the rest of them.")
    return tuple(dict.fromkeys(parse_tag(tag) for tag in given))


def _created(request: Request, name: str, pushed: Pushed, tags: tuple[str, ...]) -> list[Header]:
    digest = pushed.digest.encode()
    headers: list[Header] = [
        (b"location", f"{request.prefix}/v2/{name}/manifests/{pushed.digest}".encode()),
        (b"docker-content-digest", digest),
        (b"etag", b'"%b"' % digest),
    ]
    if request.values("tag"):
        headers += [(b"oci-tag", tag.encode()) for tag in tags]
    if pushed.subject is not None:
        headers.append((b"oci-subject", pushed.subject.encode()))
    room = MAX_WARNINGS
    for text in pushed.warnings:
        warning = f'299 - "{text}"'.encode("ascii", "replace")
        room -= len(warning)
        if room >= 0:
            headers.append((b"warning", warning))
    return headers
