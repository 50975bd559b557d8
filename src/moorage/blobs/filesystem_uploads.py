"""Uploads on a local filesystem: one file each, its length is how far it has come.

A request takes the file's lock (flock) for as long as it writes, so one wins in all processes, and a process that
dies lets go. Bytes are hashed and written in a thread, several hundred kilobytes at a time, while the next ones arrive.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from moorage.blobs.disk import make_directories, size_of
from moorage.blobs.files import Files
from moorage.blobs.layout import UPLOADS, blob_location
from moorage.blobs.ports import Progress, Sealed
from moorage.blobs.running import RunningHashes
from moorage.blobs.share import Share
from moorage.blobs.strand import Strand
from moorage.blobs.writing import Writing, hash_file, lock, seal_file, stamp
from moorage.core.digest import Digest
from moorage.core.errors import RegistryError, UploadUnknown
from moorage.core.names import is_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from moorage.blobs.ports import TakenOver

T = TypeVar("T")

BATCH = 512 * 1024
"""Bytes that are gathered for one trip to a thread, where few uploads are under way."""

AHEAD = 2
"""Batches that are handed over and not written yet, where few uploads are under way; else one."""

BATCH_BUDGET = 4 * 1024 * 1024
BATCH_SMALLEST = 64 * 1024


class FilesystemUploads:
    """`UploadStore` below a directory.

    Args:
        root: the same as the blobs', so that sealing is a rename.
        executor: threads for hashing and for the disk.
        files: the system calls.
    """

    def __init__(self, root: Path, executor: Executor, files: Files | None = None) -> None:
        self._root = root
        self._folder = root / UPLOADS
        self._executor = executor
        self._files = files or Files()
        self._hashes = RunningHashes()
        self._share = Share(BATCH_BUDGET, BATCH_SMALLEST, BATCH)

    async def append(
        self,
        key: str,
        offset: int | None,
        pieces: AsyncIterator[bytes],
        algorithm: str,
        held: int = 0,
        seal: Digest | None = None,
        taken_over: TakenOver | None = None,
    ) -> Progress:
        """Write at the end; a small body takes two trips to a thread, one before it is read and one after."""
        over = taken_over is not None
        writing = Writing(self._files, self._folder / key, offset, self._hashes, algorithm, held, over=over)
        batch: list[bytes] = []
        gathered = 0
        strand = Strand(self._executor)
        under_way: deque[asyncio.Future[None]] = deque()
        self._share.enter()
        try:
            # The lock is taken before the body is read: who comes second is told at once.
            await strand.run(writing.begin)
            while True:
                piece, broken = await _next(pieces)
                if piece is None:
                    break
                batch.append(piece)
                gathered += len(piece)
                if gathered >= self._share.size:
                    if len(under_way) >= (AHEAD if self._share.size == BATCH else 1):
                        await under_way.popleft()
                    under_way.append(strand.run(writing.write, b"".join(batch)))
                    batch, gathered = [], 0
            while under_way:
                await under_way.popleft()
            progress = await strand.run(writing.finish, b"".join(batch), broken, seal)
            if taken_over is not None and progress.sealed is None:
                await taken_over(progress)
            return progress
        finally:
            self._share.leave()
            # Given before anything is waited for: who is cancelled once more while he waits must let go, too.
            closing = None if writing.closed else strand.run(writing.close)
            await asyncio.gather(*under_way, return_exceptions=True)
            if closing is not None:
                await asyncio.shield(closing)

    async def seal(self, key: str, digest: Digest, known: Progress | None = None) -> Sealed:
        """Check, sync, rename, sync."""
        return await self._run(self._seal, key, digest, known)

    async def size(self, key: str) -> int:
        """The length of the file."""
        return await self._run(size_of, self._folder / key) or 0

    async def drop(self, key: str) -> None:
        """Unlink the file; a request that is still writing to it finds its session gone at its end."""
        self._hashes.drop(key)
        await self._run(self._files.unlink, self._folder / key)

    async def stale(self, before: float, limit: int) -> list[str]:
        """Files that were not written to for long; whatever else lies in the folder is passed over."""
        return await self._run(self._stale, before, limit)

    def _seal(self, key: str, digest: Digest, known: Progress | None) -> Sealed:
        path = self._folder / key
        try:
            descriptor = self._files.open(path, os.O_RDWR)
        except FileNotFoundError:
            descriptor = self._begin_empty(path, known)
        try:
            lock(descriptor, path)
            size = os.fstat(descriptor).st_size
            found = _known_digest(size, digest, known) or self._digest(descriptor, key, size, digest.algorithm)
            if found == digest:
                self._sync_or_lose(descriptor, path)
            seal_file(self._files, path, digest, found)
        finally:
            os.close(descriptor)
        self._hashes.drop(key)
        return Sealed(size, blob_location(digest))

    def _sync_or_lose(self, descriptor: int, path: Path) -> None:
        try:
            self._files.sync(descriptor)
        except OSError:
            # The kernel tells once and then forgets what it could not write: a second try would bless lost bytes.
            with suppress(OSError):
                self._files.unlink(path)
            raise

    def _begin_empty(self, path: Path, known: Progress | None) -> int:
        if known is not None and known.size:
            raise UploadUnknown
        make_directories(self._files, self._root, self._folder)
        return self._files.open(path, os.O_RDWR | os.O_CREAT)

    def _digest(self, descriptor: int, key: str, size: int, algorithm: str) -> Digest:
        running = self._hashes.take(key, size, algorithm, stamp(descriptor))
        if running is not None and running.algorithm == algorithm:
            return running.digest()
        return hash_file(descriptor, algorithm)

    def _stale(self, before: float, limit: int) -> list[str]:
        found: list[str] = []
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if len(found) >= limit:
                    break
                if not is_key(entry.name):
                    continue
                with suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                        found.append(entry.name)
        return found

    def _run(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


async def _next(pieces: AsyncIterator[bytes]) -> tuple[bytes | None, Exception | None]:
    """The next piece, or None at the end, with the reason where the body ended early."""
    try:
        return await anext(pieces), None
    except StopAsyncIteration:
        return None, None
    except RegistryError as error:
        return None, error


def _known_digest(size: int, wanted: Digest, known: Progress | None) -> Digest | None:
    """What the facts remember of the bytes, where it is of all of them and in the right algorithm."""
    if known is None or known.size != size or known.digest is None or known.digest.algorithm != wanted.algorithm:
        return None
    return known.digest
