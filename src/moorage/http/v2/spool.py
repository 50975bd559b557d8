"""The body of a manifest PUT: limited while it is read, and out of memory while its client is slow.

Fifty clients that dribble 4 MiB each would hold 200 MiB. So a body that grows beyond a piece goes to a file, and
only a few large ones are in memory at a time.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from moorage.core.errors import ManifestTooLarge, meaning_on_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from io import FileIO

    from moorage.http.request import Request

T = TypeVar("T")

SMALL = 256 * 1024
"""Bytes that are simply kept."""

AT_ONCE = 1
"""Large manifests in memory at the same time, in each worker."""


class Spool:
    """Reads manifest bodies.

    Args:
        limit: bytes of the largest manifest that is accepted.
        folder: for the files of large ones; they have no name and vanish with the process.
    """

    def __init__(self, limit: int, folder: str | None = None) -> None:
        self._limit = limit
        self._folder = folder
        self._large = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def payload(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, for as long as the context lasts.

        Raises:
            ManifestTooLarge: it is longer than the limit; the rest is not read.
            StorageFull, Unavailable: the folder has no room for it, or takes nothing.
        """
        announced = request.content_length()
        if announced is not None and announced > self._limit:
            raise self._too_large()
        pieces: list[bytes] = []
        kept = 0
        body = request.body()
        async for piece in body:
            kept += len(piece)
            if kept > self._limit:
                raise self._too_large()
            pieces.append(piece)
            if kept > SMALL:
                break
        else:
            yield b"".join(pieces)
            return
        with await _on_disk(self._open) as file:
            await self._spill(file, pieces, body, kept)
            async with self._large:
                yield await _on_disk(partial(_read_back, file))

    def _open(self) -> FileIO:
        # Without a buffer: what a full disk did not take would be tried again, and fail again, when it is closed.
        return tempfile.TemporaryFile("w+b", buffering=0, dir=self._folder)

    async def _spill(self, file: FileIO, pieces: list[bytes], body: AsyncIterator[bytes], kept: int) -> None:
        await _on_disk(partial(_write, file, b"".join(pieces)))
        pieces.clear()
        async for piece in body:
            kept += len(piece)
            if kept > self._limit:
                raise self._too_large()
            await _on_disk(partial(_write, file, piece))

    def _too_large(self) -> ManifestTooLarge:
        return ManifestTooLarge(f"A manifest may have {self._limit} bytes here.", {"limit": self._limit})


async def _on_disk(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise meaning_on_disk(error) from error


def _write(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _read_back(file: FileIO) -> bytes:
    file.seek(0)
    return file.readall()
