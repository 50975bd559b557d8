"""Pushing a blob: the life of an upload session.

    begin -> append ... append -> finish       (or cancel, or purged by age)

The bytes' own length is the truth about how far a session has come; the row remembers the digest so far, so that a
finish without a body costs the same whatever the size and whatever the process.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from moorage.blobs.ports import Progress, Sealed
from moorage.core.digest import CANONICAL, Digest, new_hash
from moorage.core.errors import DigestInvalid, RegistryError, SizeInvalid, UploadUnknown
from moorage.core.events import Event
from moorage.core.names import is_key
from moorage.metadata.blobs import StoredBlob, add_blob, link_blob
from moorage.metadata.events import tell
from moorage.metadata.uploads import UPLOAD, UploadRow, add_upload, advance_upload, remove_upload
from moorage.registry.trail import Trail
from moorage.registry.writes import Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.registry.parts import Parts


@dataclass(frozen=True, slots=True)
class Chunk:
    """A request's body: `start` is where it must go (None: at the end), `length` its bytes where that is known."""

    pieces: AsyncIterator[bytes]
    start: int | None = None
    length: int | None = None


class Uploads:
    """The use cases of a blob push."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._store = parts.uploads
        self._clock = parts.clock
        self._ids = parts.ids
        self._writes = Writes(parts.settings)
        self._trail = Trail(on=parts.audit)

    async def begin(self, name: str, caller: Caller, algorithm: str = CANONICAL) -> UploadRow:
        """Open a session.

        Raises:
            DigestInvalid: an algorithm that is not known.
        """
        self._writes.check_push(name)
        new_hash(algorithm)
        upload = UploadRow(self._ids.upload(), name, algorithm, actor=caller.name)
        now = self._clock.now()
        await self._database.write(lambda connection: add_upload(connection, upload, now), durable=False)
        return upload

    async def find(self, name: str, key: str) -> UploadRow:
        """The session as recorded.

        Raises:
            UploadUnknown: not of this repository, or gone.
        """
        # What stands in a path may be anything; not every text is one that a database takes.
        row = await self._database.lookup(UPLOAD, key, name) if is_key(key) else None
        if row is None:
            raise UploadUnknown(detail={"upload": key[:100] if key.isprintable() else ascii(key[:100])})
        algorithm, offset, digest, _ = cast("tuple[str, int, str | None, float]", tuple(row))
        return UploadRow(key, name, algorithm, offset, digest)

    async def status(self, name: str, key: str) -> int:
        """Bytes that the session durably holds."""
        upload = await self.find(name, key)
        size = await self._store.size(upload.id)
        if size < upload.offset:  # sealed, but that was not recorded (yet)
            raise UploadUnknown(detail={"upload": upload.id})
        return size

    async def append(self, name: str, key: str, chunk: Chunk) -> int:
        """Add a chunk and return how many bytes the session holds now.

        Raises:
            UploadRangeInvalid: it does not continue where the session stands; nothing was taken.
            UploadUnknown: cancelled, finished or purged, perhaps meanwhile.
        """
        self._writes.check_push(name)
        upload = await self.find(name, key)
        progress = await self._append(upload, chunk)
        return progress.size

    async def finish(self, name: str, key: str, digest: Digest, chunk: Chunk | None, caller: Caller) -> int:
        """Add the last chunk, if any, check the digest and make the blob readable in the repository; return its size.

        Raises:
            DigestInvalid: the bytes have another digest; the session ends, as its bytes are of no use.
            UploadRangeInvalid: the chunk does not fit; the session goes on as if it had not been sent.
        """
        self._writes.check_push(name)
        upload = await self.find(name, key)
        try:
            if chunk is None:
                sealed = await self._store.seal(upload.id, digest, _known(upload))
            else:
                sealed = await self._append_and_seal(upload, chunk, digest)
        except DigestInvalid:
            await self._forget(upload.id)
            raise
        blob = StoredBlob(digest, sealed.size, sealed.location)
        now = self._clock.now()
        await self._database.write(lambda connection: _record(connection, upload, blob, caller, now, self._trail))
        return sealed.size

    async def whole(self, name: str, digest: Digest, chunk: Chunk, caller: Caller, algorithm: str) -> int:
        """A blob in one request: begin and finish.

        Where it fails nothing is kept, as the client never heard of a session.
        """
        upload = await self.begin(name, caller, algorithm)
        try:
            return await self.finish(name, upload.id, digest, chunk, caller)
        except Exception:
            with suppress(RegistryError):
                await self._forget(upload.id)
            raise

    async def cancel(self, name: str, key: str) -> None:
        """End a session and drop its bytes."""
        self._writes.check_writable()
        upload = await self.find(name, key)
        await self._forget(upload.id)

    async def _append_and_seal(self, upload: UploadRow, chunk: Chunk, digest: Digest) -> Sealed:
        pieces = _measured(chunk)
        progress = await self._store.append(
            upload.id, chunk.start, pieces, upload.algorithm, upload.offset, seal=digest
        )
        if progress.sealed is None:
            await self._record_progress(upload, progress)
            raise progress.broken or UploadUnknown(detail={"upload": upload.id})
        return progress.sealed

    async def _append(self, upload: UploadRow, chunk: Chunk) -> Progress:
        pieces = _measured(chunk)
        progress = await self._store.append(upload.id, chunk.start, pieces, upload.algorithm, upload.offset)
        recorded = await self._record_progress(upload, progress)
        if progress.broken is not None:
            raise progress.broken
        if not recorded:
            await self._store.drop(upload.id)
            raise UploadUnknown(detail={"upload": upload.id})
        return progress

    async def _record_progress(self, upload: UploadRow, progress: Progress) -> bool:
        now = self._clock.now()
        return await self._database.write(
            lambda connection: advance_upload(connection, upload.id, progress.size, progress.digest, now),
            durable=False,
        )

    async def _forget(self, key: str) -> None:
        removed = await self._database.write(lambda connection: remove_upload(connection, key))
        await self._store.drop(key)
        if not removed:
            raise UploadUnknown(detail={"upload": key})


async def _measured(chunk: Chunk) -> AsyncIterator[bytes]:
    """The pieces, as long as they are what `Content-Range` announced."""
    received = 0
    async for piece in chunk.pieces:
        received += len(piece)
        if chunk.length is not None and received > chunk.length:
            break
        yield piece
    if chunk.length is not None and received != chunk.length:
        raise SizeInvalid(
            "The body is not as long as Content-Range says; what arrived within it is kept.",
            {"announced": chunk.length, "received": received},
        )


def _known(upload: UploadRow) -> Progress:
    return Progress(upload.offset, Digest(upload.digest) if upload.digest else None)


def _record(
    connection: Connection, upload: UploadRow, blob: StoredBlob, caller: Caller, now: float, trail: Trail
) -> None:
    if not remove_upload(connection, upload.id):
        raise UploadUnknown(detail={"upload": upload.id})
    repository = trail.place(connection, upload.repository, caller, now)
    add_blob(connection, blob, now)
    link_blob(connection, repository, blob.digest, now)
    event = Event("push", upload.repository, blob.digest, "application/octet-stream", blob.size, actor=caller.name)
    tell(connection, event, now)
    trail.note(connection, "blob.push", caller, upload.repository, now, digest=blob.digest, size=blob.size)
