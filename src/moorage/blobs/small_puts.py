"""Small blobs on their way to a local disk: those that come at the same time are written, synced and named together.

A sync makes everything durable that the filesystem's journal holds by then, so the first of several pays for all. And
one thread at work for many requests fights less with the event loop for the interpreter's lock than a thread each.
"""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from moorage.blobs.disk import make_directories, start_writeback
from moorage.blobs.layout import UPLOADS, blob_location

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from moorage.blobs.files import Files
    from moorage.core.digest import Digest

MOST = 16
"""Blobs in one go; where more wait another thread takes them."""

THREADS = 4


class _Put:
    """One blob that is being stored."""

    __slots__ = ("data", "descriptor", "error", "folder", "future", "loop", "target", "temporary")

    def __init__(self, root: Path, digest: Digest, data: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.data = data
        self.target = root / blob_location(digest)
        self.folder = self.target.parent
        # Named like an upload: what a crash leaves is found by the purge of abandoned ones.
        self.temporary = root / UPLOADS / str(uuid.uuid4())
        self.descriptor = -1
        self.error: Exception | None = None
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()

    def settle(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(None)


class SmallPuts:
    """Stores whole blobs below a directory.

    Args:
        root: of the layout.
        executor: threads for the disk, of which it takes up to `THREADS`.
        files: the system calls.
    """

    def __init__(self, root: Path, executor: Executor, files: Files) -> None:
        self._root = root
        self._executor = executor
        self._files = files
        self._waiting: deque[_Put] = deque()
        self._at_work = 0
        self._lock = threading.Lock()

    async def put(self, digest: Digest, data: bytes) -> None:
        """Store a blob; it is durable when this returns.

        Raises:
            OSError: the disk says no; nothing is left of it.
        """
        put = _Put(self._root, digest, data, asyncio.get_running_loop())
        with self._lock:
            self._waiting.append(put)
            needed = self._at_work < min(THREADS, 1 + len(self._waiting) // MOST)
            self._at_work += needed
        if needed:
            self._executor.submit(self._work)
        await put.future

    def _work(self) -> None:
        """Take what waits until nothing does. Runs in a thread."""
        while batch := self._take():
            self._store(batch)
            batch[0].loop.call_soon_threadsafe(_settle, batch)

    def _take(self) -> list[_Put]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            if not batch:
                self._at_work -= 1
            return batch

    def _store(self, batch: list[_Put]) -> None:
        alive = self._each(batch, self._write)
        if len(alive) > 1:
            for put in alive:
                start_writeback(put.descriptor, 0, len(put.data))
        alive = self._each(alive, self._sync)
        alive = self._each(alive, self._name)
        # In this order a journalling filesystem carries the second with the first. The second is due also where the
        # folder was there: whoever made it may not have come so far.
        alive = self._each(alive, lambda put: self._files.sync_directory(put.folder))
        self._each(alive, lambda put: self._files.sync_directory(put.folder.parent))

    def _each(self, batch: list[_Put], step: Callable[[_Put], None]) -> list[_Put]:
        """Take a step with each; those that it went well with."""
        for put in batch:
            try:
                step(put)
            except Exception as error:  # noqa: BLE001 - told to whoever wanted that blob; the others go on
                put.error = error
                self._undo(put)
        return [put for put in batch if put.error is None]

    def _write(self, put: _Put) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            put.descriptor = self._files.open(put.temporary, flags)
        except FileNotFoundError:
            make_directories(self._files, self._root, put.temporary.parent)
            put.descriptor = self._files.open(put.temporary, flags)
        self._files.write(put.descriptor, put.data)

    def _sync(self, put: _Put) -> None:
        self._files.sync(put.descriptor)
        descriptor, put.descriptor = put.descriptor, -1
        os.close(descriptor)

    def _name(self, put: _Put) -> None:
        if put.folder.parent not in self._files.durable:
            make_directories(self._files, self._root, put.folder.parent)
        try:
            self._files.make_directory(put.folder)
        except FileNotFoundError:  # the folder above it was removed meanwhile
            make_directories(self._files, self._root, put.folder.parent)
            self._files.make_directory(put.folder)
        self._files.rename(put.temporary, put.target)

    def _undo(self, put: _Put) -> None:
        if put.descriptor >= 0:
            os.close(put.descriptor)
            put.descriptor = -1
        with suppress(OSError):
            os.unlink(put.temporary)


def _settle(batch: list[_Put]) -> None:
    for put in batch:
        put.settle()
