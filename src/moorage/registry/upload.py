"""Pushing a blob: the life of an upload session.

    begin -> append ... append -> finish       (or cancel, or purged by age)

A session's bytes are in its row as long as they are few (`SMALL`), and then in the upload store. There their own length
is the truth about how far it has come; the row remembers the digest so far, so that a finish without a body costs the
same whatever the size and whatever the process.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from moorage.blobs.ports import Progress, Sealed
from moorage.core.digest import CANONICAL, Digest, check_content, digest_of, new_hash
from moorage.core.errors import DigestInvalid, RegistryError, StorageFull, UploadBusy, UploadRangeInvalid, UploadUnknown
from moorage.core.events import Event
from moorage.core.media_types import OCTET_STREAM
from moorage.core.names import is_key
from moorage.metadata.blobs import StoredBlob, add_blob, link_blob
from moorage.metadata.events import tell
from moorage.metadata.repositories import check_makeable
from moorage.metadata.unsynced import keep_unsynced
from moorage.metadata.uploads import (
    UPLOAD,
    UploadRow,
    add_upload,
    add_upload_where_there,
    advance_upload,
    hand_over_upload,
    hold_upload,
    remove_upload,
)
from moorage.registry.chunk import Chunk, take, take_quickly
from moorage.registry.trail import Trail
from moorage.registry.writes import Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.registry.chunk import Body
    from moorage.registry.parts import Parts
    from moorage.registry.settle import Settling


SMALL = 16 * 1024
"""Bytes of a session that are kept in its row: less work than a file that is soon renamed (docs/adr/0013)."""

PATIENCE = 0.05
"""Seconds that a small body has to come whole. What takes longer goes to the upload store, whose lock tells who comes
second at once; before that, of two that write the one that is done first wins."""


class Uploads:
    """The use cases of a blob push.

    Args:
        parts: what every use case is given.
        settling: of small blobs.
    """

    def __init__(self, parts: Parts, settling: Settling) -> None:
        self._settling = settling
        self._database = parts.database
        self._store = parts.uploads
        self._blobs = parts.blobs
        self._clock = parts.clock
        self._ids = parts.ids
        self._writes = Writes(parts.settings)
        self._trail = Trail(on=parts.audit)

    async def begin(self, name: str, caller: Caller, algorithm: str = CANONICAL) -> UploadRow:
        """Open a session.

        Raises:
            DigestInvalid: an algorithm that is not known.
            Denied: the repository is not there, and no push may make it: said before anything is sent.
        """
        self._writes.check_push(name)
        new_hash(algorithm)
        return await self._begin(UploadRow(self._ids.upload(), name, algorithm, actor=caller.name, content=b""))

    async def find(self, name: str, key: str) -> UploadRow:
        """The session as recorded.

        Raises:
            UploadUnknown: not of this repository, or gone.
        """
        # What stands in a path may be anything; not every text is one that a database takes.
        row = await self._database.lookup(UPLOAD, key, name) if is_key(key) else None
        if row is None:
            raise UploadUnknown(detail={"upload": key[:100] if key.isprintable() else ascii(key[:100])})
        algorithm, offset, digest, content = cast("tuple[str, int, str | None, bytes | None]", tuple(row))
        return UploadRow(key, name, algorithm, offset, digest, content=content)

    async def status(self, name: str, key: str) -> int:
        """Bytes that the session durably holds."""
        upload = await self.find(name, key)
        if upload.content is not None:
            return len(upload.content)
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
        return (await self._append(upload, chunk)).size

    async def finish(self, name: str, key: str, digest: Digest, chunk: Chunk | None, caller: Caller) -> int:
        """Add the last chunk, if any, check the digest and make the blob readable in the repository; return its size.

        Raises:
            DigestInvalid: the bytes have another digest; the session ends, as its bytes are of no use.
            UploadRangeInvalid: the chunk does not fit; the session goes on as if it had not been sent.
        """
        self._writes.check_push(name)
        upload = await self.find(name, key)
        try:
            sealed = await self._seal(upload, digest, chunk)
        except DigestInvalid:
            await self._forget(upload.id)
            raise
        await self._record(upload, digest, sealed, caller)
        return sealed.size

    async def whole(self, name: str, digest: Digest, chunk: Chunk, caller: Caller, algorithm: str) -> int:
        """A blob in one request; a large one by a session that nobody hears of.

        Where it fails nothing is kept.
        """
        self._writes.check_push(name)
        new_hash(algorithm)
        upload = UploadRow(self._ids.upload(), name, algorithm, actor=caller.name)
        body = await take(chunk, SMALL)
        if body.rest is None:
            if body.broken is not None:
                raise body.broken
            sealed = await self._put(digest, body.start)
            await self._record(upload, digest, sealed, caller, begun=False)
            return sealed.size
        await self._begin(upload)
        try:
            sealed = await self._seal(upload, digest, Chunk(body.pieces()))
            await self._record(upload, digest, sealed, caller)
        except Exception:
            with suppress(RegistryError):
                await self._forget(upload.id)
            raise
        return sealed.size

    async def cancel(self, name: str, key: str) -> None:
        """End a session and drop its bytes."""
        self._writes.check_writable()
        upload = await self.find(name, key)
        await self._forget(upload.id)

    async def _begin(self, upload: UploadRow) -> UploadRow:
        now = self._clock.now()
        await self._database.write(lambda connection: _begin(connection, upload, now), durable=False)
        return upload

    async def _seal(self, upload: UploadRow, digest: Digest, chunk: Chunk | None) -> Sealed:
        if chunk is not None:
            progress = await self._append(upload, chunk, digest)
            if progress.sealed is None:
                raise UploadUnknown(detail={"upload": upload.id})
            return progress.sealed
        if upload.content is not None:
            return await self._put(digest, upload.content)
        return await self._store.seal(upload.id, digest, _known(upload))

    async def _put(self, digest: Digest, data: bytes) -> Sealed:
        check_content(digest, digest_of(data, digest.algorithm))
        sealed = await self._blobs.put(digest, data, kept=self._settling.has_room)
        if sealed.content is None:
            self._settling.trust()
        return sealed

    async def _append(self, upload: UploadRow, chunk: Chunk, seal: Digest | None = None) -> Progress:
        """Add a chunk, wherever the session's bytes are; make a blob of it all where that is asked for."""
        held = upload.content
        if held is None:
            return await self._stream(upload, chunk.start, chunk.measured(), seal)
        if chunk.start not in (None, len(held)):
            raise UploadRangeInvalid(len(held))
        body = await take_quickly(chunk, SMALL - len(held), PATIENCE)
        if body.rest is not None:
            try:
                return await self._outgrow(upload, held, body, seal)
            finally:
                body.leave()
        data = held + body.start
        if seal is not None and body.broken is None:
            return Progress(len(data), seal, sealed=await self._put(seal, data))
        now = self._clock.now()
        await self._change(upload, lambda connection: hold_upload(connection, upload.id, len(held), data, now))
        if body.broken is not None:
            raise body.broken
        return Progress(len(data), None)

    async def _outgrow(self, upload: UploadRow, held: bytes, body: Body, seal: Digest | None) -> Progress:
        """The upload store takes over. Bytes that the row holds stay there until the store has them on the disk."""
        if not held:
            # So that who comes second finds the store's lock, and is told at once.
            await self._hand_over(upload, held, Progress(0, None))
            return await self._stream(upload, 0, body.pieces(), seal)

        async def pieces() -> AsyncIterator[bytes]:
            # We have the store's lock now: is there nobody who had it while we waited for ours?
            if (await self.find(upload.repository, upload.id)).content != held:
                raise UploadBusy
            async for piece in body.pieces(held):
                yield piece

        async def taken_over(progress: Progress) -> None:
            await self._hand_over(upload, held, progress)

        progress = await self._store.append(
            upload.id, None, pieces(), upload.algorithm, seal=seal, taken_over=taken_over
        )
        if progress.broken is not None:
            raise progress.broken
        return progress

    async def _hand_over(self, upload: UploadRow, held: bytes, progress: Progress) -> None:
        now = self._clock.now()
        await self._change(
            upload,
            lambda connection: hand_over_upload(connection, upload.id, len(held), progress.size, progress.digest, now),
        )

    async def _change(self, upload: UploadRow, change: Callable[[Connection], bool]) -> None:
        """Write to a row that is as we have read it.

        Raises:
            UploadBusy: another request was faster.
            UploadUnknown: and ended the session.
        """
        if not await self._database.write(change, durable=False):
            await self.find(upload.repository, upload.id)
            raise UploadBusy

    async def _stream(
        self, upload: UploadRow, start: int | None, pieces: AsyncIterator[bytes], seal: Digest | None
    ) -> Progress:
        """Add to what the upload store has."""
        progress = await self._store.append(upload.id, start, pieces, upload.algorithm, upload.offset, seal)
        if progress.sealed is not None:
            return progress
        now = self._clock.now()
        recorded = await self._database.write(
            lambda connection: advance_upload(connection, upload.id, progress.size, progress.digest, now),
            durable=False,
        )
        if progress.broken is not None:
            raise progress.broken
        if not recorded:
            await self._store.drop(upload.id)
            raise UploadUnknown(detail={"upload": upload.id})
        return progress

    async def _record(
        self, upload: UploadRow, digest: Digest, sealed: Sealed, caller: Caller, *, begun: bool = True
    ) -> None:
        """The blob's facts, durable; `begun`: there is a session, which ends with it."""
        now = self._clock.now()
        blob = StoredBlob(digest, sealed.size, sealed.location)

        def change(connection: Connection) -> None:
            if begun and not remove_upload(connection, upload.id):
                raise UploadUnknown(detail={"upload": upload.id})
            _add(connection, upload.repository, blob, caller, now, self._trail)
            if sealed.content is not None:
                keep_unsynced(connection, digest, sealed.content)

        await self._database.write(change)
        if sealed.content is not None:
            self._settling.add(digest, sealed.content)

    async def _forget(self, key: str) -> None:
        def change(connection: Connection) -> bool:
            return remove_upload(connection, key)

        try:
            removed = await self._database.write(change)
        except StorageFull:
            # These bytes may be the room that it needs.
            await self._store.drop(key)
            await self._database.write(change)
            removed = True  # now, or at the first try, if only its sync failed
        finally:
            await self._store.drop(key)
        if not removed:
            raise UploadUnknown(detail={"upload": key})


def _begin(connection: Connection, upload: UploadRow, now: float) -> None:
    if not add_upload_where_there(connection, upload, now):
        check_makeable(connection, upload.repository)
        add_upload(connection, upload, now)


def _known(upload: UploadRow) -> Progress:
    return Progress(upload.offset, Digest(upload.digest) if upload.digest else None)


def _add(connection: Connection, name: str, blob: StoredBlob, caller: Caller, now: float, trail: Trail) -> None:
    repository = trail.place(connection, name, caller, now)
    add_blob(connection, blob, now)
    link_blob(connection, repository, blob.digest, now)
    event = Event("push", name, blob.digest, OCTET_STREAM, blob.size, actor=caller.name)
    tell(connection, event, now)
    trail.note(connection, "blob.push", caller, name, now, digest=blob.digest, size=blob.size)
