"""One request's turn at the file of an upload: what happens in a thread."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from moorage.blobs.disk import open_below, publish, start_writeback
from moorage.blobs.layout import blob_location
from moorage.blobs.ports import Progress, Sealed
from moorage.blobs.running import Running, RunningHashes, Stamp
from moorage.core.digest import Digest, check_content, digest_from, new_hash
from moorage.core.errors import UploadBusy, UploadRangeInvalid, UploadUnknown

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.blobs.files import Files

WRITEBACK = 8 * 1024 * 1024
"""Bytes after which the disk is set to work, so that the end of a large upload does not wait for all of it."""

KEPT = 64 * 1024 * 1024
"""Bytes of an upload that stay in the page cache; of a larger one the rest goes past it. Most layers are smaller, and
are pulled soon. A few large ones would push out everything else, and where memory must first be found, as in a virtual
machine, writing to the cache is several times as slow as the disk."""

BEHIND = 3 * WRITEBACK
"""How far the disk may be behind, before an upload that goes past the cache waits for it."""

_READ = 1024 * 1024


class Writing:
    """One request's turn at an upload file. All methods run in a thread, one after the other (`blobs/strand.py`).

    A request that is cancelled waits for what it handed over: `close` comes after all of it, and what would come after
    `close` does nothing.
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
        self._over = self._anew = over
        self._failed = False
        self.closed = False

    def begin(self) -> None:
        """Open, lock, and find the end."""
        if self.closed:
            return
        flags = os.O_RDWR | os.O_APPEND | (0 if self._held else os.O_CREAT)
        try:
            self._descriptor = open_below(self._files, self._path.parent.parent, self._path, flags)
        except FileNotFoundError:
            if self._held:
                raise UploadUnknown from None
            raise
        lock(self._descriptor, self._path)
        self._size = self._dropped = os.fstat(self._descriptor).st_size
        if self._size < self._held:
            raise UploadUnknown
        if self._offset is not None and self._offset != self._size and not self._anew:
            raise UploadRangeInvalid(self._size)
        self._running = self._hashes.take(self._key, self._size, self._algorithm, stamp(self._descriptor))

    def write(self, data: bytes) -> None:
        """Hash and write the bytes that follow; where they do not fit, the file is cut back to where it was.

        After one that failed the next, which may be on its way already, does nothing.
        """
        if not self.closed and not self._failed:
            self._failed = True
            self._write(data)
            self._failed = False

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
        try:
            return self._finish(data, broken, seal)
        finally:
            if not self._over:
                self.close()

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
            known = hash_file(self._descriptor, wanted.algorithm)
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
        self.closed = True
        if self._descriptor >= 0:
            if self._running is not None and self._running.size == self._size:
                self._hashes.keep(self._key, self._running, stamp(self._descriptor))
            os.close(self._descriptor)
            self._descriptor = -1


def lock(descriptor: int, path: Path) -> None:
    """Take an upload's file for this request, until the descriptor is closed.

    Raises:
        UploadBusy: another request has it.
        UploadUnknown: it was sealed or dropped meanwhile.
    """
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


def stamp(descriptor: int) -> Stamp:
    """By what a file is known to be as it was."""
    found = os.fstat(descriptor)
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def hash_file(descriptor: int, algorithm: str) -> Digest:
    """The digest of all of a file."""
    running = new_hash(algorithm)
    offset = 0
    while piece := os.pread(descriptor, _READ, offset):
        running.update(piece)
        offset += len(piece)
    return digest_from(algorithm, running)
