"""Blobs on a local filesystem: read without a thread hop where the page cache has them."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from moorage.blobs.disk import finished, is_cached, names, open_below, open_whole, publish, read_whole, size_of
from moorage.blobs.files import Files
from moorage.blobs.hot import LARGEST, HotBlobs
from moorage.blobs.layout import BLOBS, UPLOADS, blob_location, digest_at
from moorage.blobs.ports import CHUNK, Chunks, Inline, Sealed, Source
from moorage.blobs.share import Share
from moorage.blobs.unsynced import open_unsynced
from moorage.core.digest import HEX_LENGTH, Digest
from moorage.core.errors import StorageFull, Unavailable, meaning_on_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from moorage.blobs.ports import Kept

T = TypeVar("T")

READ_BUDGET = 768 * 1024
"""Bytes of one piece for all blobs that are being read in a worker; two still get `CHUNK` each."""

READ_SMALLEST = 8 * 1024


class FilesystemBlobs:
    """`BlobStore` below a directory, in Distribution's layout.

    Args:
        root: the directory; made where it is not there.
        executor: threads for what may wait for the disk.
        files: the system calls.
        kept: asked for small blobs; given where the facts can keep some.
    """

    def __init__(self, root: Path, executor: Executor, files: Files | None = None, kept: Kept | None = None) -> None:
        self._root = root
        self._executor = executor
        self._files = files or Files()
        self._kept = kept
        self._unsynced = open_unsynced(root, self._files) if kept is not None else None
        self._settling = threading.Lock()
        self._hot = HotBlobs()
        self._base = f"{root}/"
        self._share = Share(READ_BUDGET, READ_SMALLEST, CHUNK)

    async def stat(self, digest: Digest) -> int | None:
        """The size in bytes, or None."""
        return await self._run(size_of, self._root / blob_location(digest))

    async def source(self, location: str, size: int, start: int, stop: int) -> Source:
        """The bytes: at once where they are small, else in pieces."""
        if size <= LARGEST:
            data = self._hot.get(location)
            if data is None:
                data = await self._find(location, size)
            return Inline(data if stop - start == size else data[start:stop])
        descriptor = await self._run(open_whole, self._base + location, size)
        return Chunks(_Reading(descriptor, start, stop, self._executor, self._share))

    async def put(self, digest: Digest, data: bytes, *, kept: bool = False) -> Sealed:
        """Write to a file of its own first, then give it its name; or leave all of it to `settle`."""
        if kept and self._unsynced is not None and self._unsynced.able:
            return Sealed(len(data), blob_location(digest), data)
        await self._run(self._put, digest, data)
        return Sealed(len(data), blob_location(digest))

    async def settle(self, blobs: Sequence[tuple[Digest, bytes]], *, left: bool = False) -> dict[Digest, OSError]:
        """A file each, and one sync for all of the filesystem."""
        return await self._run(partial(self._settle, blobs, left=left))

    async def delete(self, digest: Digest) -> None:
        """Unlink the file and make that durable."""
        self._hot.forget(blob_location(digest))
        await self._run(self._delete, self._root / blob_location(digest))

    async def scan(self, after: str = "") -> AsyncIterator[Digest]:
        """All blobs in order of their digests, a directory at a time."""
        for algorithm in sorted(HEX_LENGTH):
            top = self._root / BLOBS / algorithm
            for prefix in await self._run(names, top):
                for name in await self._run(finished, top / prefix):
                    digest = Digest(f"{algorithm}:{name}")
                    if len(name) == HEX_LENGTH[algorithm] and digest > after:
                        yield digest

    async def _find(self, location: str, size: int) -> bytes:
        # In this order: what the facts have let go of has its file, and before that it may have none, or half of one.
        if self._kept is not None:
            data = await self._kept(digest_at(location))
            if data is not None:
                return data  # not for the hot ones: this may be any thread
        data = await self._run(read_whole, self._base + location, size)
        self._hot.keep(location, data)
        return data

    def _settle(self, blobs: Sequence[tuple[Digest, bytes]], *, left: bool) -> dict[Digest, OSError]:
        unsynced = self._unsynced
        if unsynced is None:
            return self._settle_each(blobs, left=left)
        with self._settling:  # of two syncs at once one would not be told what failed
            try:
                unsynced.check()
            except OSError as error:
                return dict.fromkeys((digest for digest, _ in blobs), error)
            failed = self._settle_each(blobs, left=left)
            unsynced.settle()
        return failed

    def _settle_each(self, blobs: Sequence[tuple[Digest, bytes]], *, left: bool) -> dict[Digest, OSError]:
        failed: dict[Digest, OSError] = {}
        for digest, data in blobs:
            try:
                self._settle_one(digest, data, left=left)
            except OSError as error:
                if isinstance(meaning_on_disk(error), StorageFull):
                    raise
                failed[digest] = error
        return failed

    def _settle_one(self, digest: Digest, data: bytes, *, left: bool) -> None:
        path = self._root / blob_location(digest)
        if self._unsynced is None or not self._unsynced.create(path, data, left=left):
            self._put(digest, data)

    def _put(self, digest: Digest, data: bytes) -> None:
        # Named like an upload: what a crash leaves is found by the purge of abandoned ones.
        temporary = self._root / UPLOADS / str(uuid.uuid4())
        descriptor = open_below(self._files, self._root, temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            try:
                self._files.write(descriptor, data)
                self._files.sync(descriptor)
            finally:
                os.close(descriptor)
            publish(self._files, self._root, temporary, digest)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _delete(self, path: Path) -> None:
        if path.parent.is_dir():
            self._files.unlink(path)
            self._files.sync_directory(path.parent)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


class _Reading:
    """The pieces of an open blob. No generator: one that is closed before its first piece runs nothing of its body."""

    def __init__(self, descriptor: int, start: int, stop: int, executor: Executor, share: Share) -> None:
        self._descriptor = descriptor
        self._share = share
        share.enter()
        self._start = start
        self._stop = stop
        self._executor = executor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        length = min(self._share.size, self._stop - self._start)
        if length <= 0 or self._descriptor < 0:
            self._close()
            raise StopAsyncIteration
        try:
            piece = await self._read(length)
            if not piece:
                raise Unavailable("The stored content ended early.")
        except BaseException:
            self._close()
            raise
        self._start += len(piece)
        return piece

    async def aclose(self) -> None:
        """Let go of the file."""
        self._close()

    def __del__(self) -> None:
        self._close()

    async def _read(self, length: int) -> bytes:
        # The end alone may be there: a ranged pull reads it, and what is before it was never read or was let go.
        if all(is_cached(self._descriptor, offset) for offset in (self._start, self._start + length - 1)):
            return os.pread(self._descriptor, length, self._start)
        descriptor = self._descriptor
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(self._executor, os.pread, descriptor, length, self._start)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            # The thread reads on for a moment; the file is closed after it, not under it.
            self._descriptor = -1
            self._share.leave()
            reading.add_done_callback(lambda _: os.close(descriptor))
            raise

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._share.leave()
            os.close(descriptor)
