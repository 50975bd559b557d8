"""Uploads on a local filesystem: one file each, its length is how far it has come.

A request takes the file's lock (flock) for as long as it writes, so one wins in all processes, and a process that
dies lets go. Bytes are hashed and written in a thread, several hundred kilobytes at a time, while the next ones arrive.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from moorage.blobs.disk import make_directories, open_below, publish, size_of, start_writeback
from moorage.blobs.files import Files
from moorage.blobs.layout import UPLOADS, blob_location
from moorage.blobs.ports import Progress, Sealed
from moorage.blobs.running import Running, RunningHashes, Stamp
from moorage.blobs.share import Share
from moorage.core.digest import Digest, check_content, digest_from, new_hash
from moorage.core.errors import RegistryError, UploadBusy, UploadRangeInvalid, UploadUnknown
from moorage.core.names import is_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from moorage.blobs.ports import TakenOver

T = TypeVar("T")

BATCH = 512 * 1024
"""Bytes that are gathered for one trip to a thread, where few uploads are under way."""

BATCH_BUDGET = 4 * 1024 * 1024
BATCH_SMALLEST = 64 * 1024

WRITEBACK = 8 * 1024 * 1024
"""Bytes after which the disk is set to work, so that the end of a large upload does not wait for all of it."""

KEPT = 64 * 1024 * 1024
"""Bytes of an upload that stay in the page cache; of a larger one the rest goes past it. Most layers are smaller, and
are pulled soon. A few large ones would push out everything else, and where memory must first be found, as in a virtual
machine, writing to the cache is several times as slow as the disk."""

BEHIND = 3 * WRITEBACK
"""How far the disk may be behind, before an upload that goes past the cache waits for it."""

_READ = 1024 * 1024


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
        writing = _Writing(self._files, self._folder / key, offset, self._hashes, algorithm, held, over=over)
        batch: list[bytes] = []
        gathered = 0
        under_way: asyncio.Future[None] | None = None
        self._share.enter()
        try:
            # The lock is taken before the body is read: who comes second is told at once.
            await self._run(writing.begin)
            while True:
                piece, broken = await _next(pieces)
                if piece is None:
                    break
                batch.append(piece)
                gathered += len(piece)
                if gathered >= self._share.size:
                    if under_way is not None:
                        await under_way
                    under_way = self._run(writing.write, b"".join(batch))
                    batch, gathered = [], 0
            if under_way is not None:
                await under_way
            progress = await self._run(writing.finish, b"".join(batch), broken, seal)
            if taken_over is not None and progress.sealed is None:
                await taken_over(progress)
            return progress
        finally:
            self._share.leave()
            if under_way is not None:
                await asyncio.wait([under_way])
            if not writing.closed:
                await asyncio.shield(self._run(writing.close))

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
            _lock(descriptor, path)
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
        running = self._hashes.take(key, size, algorithm, _stamp(descriptor))
        if running is not None and running.algorithm == algorithm:
            return running.digest()
        return _hash_file(descriptor, algorithm)

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


class _Writing:
    """One request's turn at an upload file. All methods run in a thread, one after the other.

    A request that is cancelled does not wait for the method that is under way: `close` does, and what has not begun by
    then does nothing.
    """

    def __init__(
        self,
        files: Files,
        path: Path,
        offset: int | None,
        hashes: RunningHashes,
        algorithm: str,
        held: int,
        *,
        over: bool = False,
    ) -> None:
        self._files = files
        self._path = path
        self._offset = offset
        self._hashes = hashes
        self._key = path.name
        self._algorithm = algorithm
        self._held = held
        self._descriptor = -1
        self._size = 0
        self._unsynced = 0
        self._dropped = 0
        self._running: Running | None = None
        self._turn = threading.Lock()
        self._over = self._anew = over
        self.closed = False

    def begin(self) -> None:
        """Open, lock, and find the end."""
        with self._turn:
            if not self.closed:
                self._begin()

    def _begin(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | (0 if self._held else os.O_CREAT)
        try:
            self._descriptor = open_below(self._files, self._path.parent.parent, self._path, flags)
        except FileNotFoundError:
            if self._held:
                raise UploadUnknown from None
            raise
        _lock(self._descriptor, self._path)
        self._size = self._dropped = os.fstat(self._descriptor).st_size
        if self._size < self._held:
            raise UploadUnknown
        if self._offset is not None and self._offset != self._size and not self._anew:
            raise UploadRangeInvalid(self._size)
        self._running = self._hashes.take(self._key, self._size, self._algorithm, _stamp(self._descriptor))

    def write(self, data: bytes) -> None:
        """Hash and write the bytes that follow; where they do not fit, the file is cut back to where it was."""
        with self._turn:
            if not self.closed:
                self._write(data)

    def _write(self, data: bytes) -> None:
        if self._anew:
            self._begin_anew()
        try:
            self._files.write(self._descriptor, data)
        except OSError:
            self._files.truncate(self._descriptor, self._size)
            raise
        self._size += len(data)
        self._unsynced += len(data)
        if self._running is not None:
            self._running.update(data)
        if self._unsynced >= WRITEBACK:
            start_writeback(self._descriptor, self._size - self._unsynced, self._unsynced)
            self._unsynced = 0
            self._drop()

    def _begin_anew(self) -> None:
        self._anew = False
        self._files.truncate(self._descriptor, 0)
        self._size = self._dropped = 0
        self._running = Running(self._algorithm, 0, new_hash(self._algorithm))

    def _drop(self) -> None:
        """Let go of what lies behind `KEPT` and before what the disk is at work on."""
        start, stop = max(self._dropped, KEPT), self._size - BEHIND
        if stop > start:
            try:
                self._files.drop(self._descriptor, start, stop - start)
            except OSError:
                self._forget()
                raise
            self._dropped = stop

    def finish(self, data: bytes, broken: Exception | None, seal: Digest | None = None) -> Progress:
        """Write the rest, make everything durable, make it a blob where that is asked for, and let go.

        Where bytes are taken over the lock is kept until `close`.
        """
        with self._turn:
            try:
                return self._finish(data, broken, seal)
            finally:
                if not self._over:
                    self._close()

    def _finish(self, data: bytes, broken: Exception | None, seal: Digest | None) -> Progress:
        if self.closed:
            return Progress(self._size, None, broken)
        if data:
            self._write(data)
        try:
            self._files.sync(self._descriptor)
        except OSError:
            self._forget()
            raise
        digest = self._running.digest() if self._running is not None else None
        if seal is None or broken is not None:
            return Progress(self._size, digest, broken)
        return Progress(self._size, digest, None, self._seal(seal, digest))

    def _seal(self, wanted: Digest, known: Digest | None) -> Sealed:
        if known is None or known.algorithm != wanted.algorithm:
            known = _hash_file(self._descriptor, wanted.algorithm)
        seal_file(self._files, self._path, wanted, known)
        self._running = None
        return Sealed(self._size, blob_location(wanted))

    def _forget(self) -> None:
        """Take back what could not be made durable: the kernel tells that once, a later sync would bless lost bytes."""
        self._running = None
        self._size = self._held
        try:
            self._files.truncate(self._descriptor, self._held)
        except OSError:
            self._files.unlink(self._path)
            raise

    def close(self) -> None:
        """Let go of the file; the hash is kept for the next request."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        self.closed = True
        if self._descriptor >= 0:
            if self._running is not None and self._running.size == self._size:
                self._hashes.keep(self._key, self._running, _stamp(self._descriptor))
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UploadBusy from None
    try:
        still_there = os.stat(path).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        still_there = False
    if not still_there:  # sealed or dropped between our opening and our locking
        raise UploadUnknown


def seal_file(files: Files, path: Path, wanted: Digest, found: Digest) -> None:
    """Make a synced upload a blob, if it has the digest that is wanted."""
    check_content(wanted, found)
    try:
        publish(files, path.parent.parent, path, wanted)
    except FileNotFoundError:  # cancelled in this moment
        raise UploadUnknown from None


def _known_digest(size: int, wanted: Digest, known: Progress | None) -> Digest | None:
    """What the facts remember of the bytes, where it is of all of them and in the right algorithm."""
    if known is None or known.size != size or known.digest is None or known.digest.algorithm != wanted.algorithm:
        return None
    return known.digest


def _stamp(descriptor: int) -> Stamp:
    found = os.fstat(descriptor)
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _hash_file(descriptor: int, algorithm: str) -> Digest:
    running = new_hash(algorithm)
    offset = 0
    while piece := os.pread(descriptor, _READ, offset):
        running.update(piece)
        offset += len(piece)
    return digest_from(algorithm, running)
