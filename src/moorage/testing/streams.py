"""Bodies of requests as a store gets to see them: in pieces, breaking off, waiting for a word."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from moorage.blobs.ports import Chunks, Inline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from moorage.blobs.ports import Source


def content(size: int, seed: int = 0) -> bytes:
    """`size` bytes that look random and are the same for the same seed."""
    return random.Random(f"{size}/{seed}").randbytes(size)  # noqa: S311 - content for tests, no secret


async def pieces(data: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    """`data` in pieces of `size` bytes; none where it is empty."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def breaking(data: bytes, error: Exception, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    """`data` in pieces, and then `error` instead of an end."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
    raise error


class Waiting:
    """A body whose pieces come only when the test lets them.

    Args:
        data: the first part comes at once, the second after `go_on` was called.
    """

    def __init__(self, *data: bytes) -> None:
        self._data = data
        self._begun = asyncio.Event()
        self._on = asyncio.Event()

    async def begun(self) -> None:
        """Return once somebody reads the body, and has come to where it waits.

        Raises:
            TimeoutError: nobody did for 20 seconds.
        """
        async with asyncio.timeout(20):
            await self._begun.wait()

    def go_on(self) -> None:
        """Let the rest come."""
        self._on.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces, with a wait after the first one (or before the end, where there is none)."""
        for piece in self._data[:1]:
            yield piece
        self._begun.set()
        await self._on.wait()
        for piece in self._data[1:]:
            yield piece


class Counting:
    """A body that remembers whether it was touched.

    Attributes:
        taken: pieces that were asked for.
    """

    def __init__(self, data: bytes, size: int = 1024) -> None:
        self._data = data
        self._size = size
        self.taken = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces."""
        async for piece in pieces(self._data, self._size):
            self.taken += 1
            yield piece


async def read_all(source: Source) -> bytes:
    """All bytes of a source.

    Raises:
        TypeError: it is a redirect, which holds no bytes.
    """
    if isinstance(source, Inline):
        return source.data
    if isinstance(source, Chunks):
        return b"".join([piece async for piece in source.pieces])
    raise TypeError(source)
