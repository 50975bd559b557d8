"""The body of a request that uploads: announced, measured, and read as far as it is small."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError, SizeInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class Chunk:
    """A request's body: `start` is where it must go (None: at the end), `length` its bytes where that is known."""

    stream: AsyncIterator[bytes]
    start: int | None = None
    length: int | None = None

    async def measured(self) -> AsyncIterator[bytes]:
        """The pieces, as long as they are what `Content-Range` announced.

        Raises:
            SizeInvalid: at the end, where they are fewer, or more.
        """
        received = 0
        async for piece in self.stream:
            received += len(piece)
            if self.length is not None and received > self.length:
                within = piece[: self.length - received]
                if within:
                    yield within
                break
            yield piece
        if self.length is not None and received != self.length:
            raise SizeInvalid(
                "The body is not as long as Content-Range says; what arrived within it is kept.",
                {"announced": self.length, "received": received},
            )


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was read so far.

    Attributes:
        start: its first bytes; all of them, or all that came, where `rest` is None.
        rest: the pieces that follow.
        broken: why it ended early.
        reading: who is at it still, where `rest` waits for that.
    """

    start: bytes
    rest: AsyncIterator[bytes] | None = None
    broken: RegistryError | None = None
    reading: asyncio.Future[Body] | None = None

    async def pieces(self, before: bytes = b"") -> AsyncIterator[bytes]:
        """All of it, behind `before`."""
        yield before + self.start
        if self.rest is not None:
            async for piece in self.rest:
                yield piece

    def leave(self) -> None:
        """Read no further; of two who read one body neither gets it whole."""
        if self.reading is not None:
            self.reading.cancel()


async def take(chunk: Chunk, limit: int) -> Body:
    """Read a body until its end, or until it has more than `limit` bytes."""
    return await _Taking(chunk.measured(), limit).run()


async def take_quickly(chunk: Chunk, limit: int, seconds: float) -> Body:
    """As `take`, but a body that has not ended after some seconds is taken no further: its `rest` gives all of it.

    Whoever does not read that `rest` to its end has to `leave` it.
    """
    taking = _Taking(chunk.measured(), limit)
    reading = asyncio.ensure_future(taking.run())
    try:
        await asyncio.wait([reading], timeout=seconds)
    except asyncio.CancelledError:
        reading.cancel()
        raise
    if reading.done():
        return reading.result()
    taking.limit = -1
    return Body(b"", _later(reading), reading=reading)


async def _later(reading: asyncio.Future[Body]) -> AsyncIterator[bytes]:
    """The pieces of a body that is still being taken."""
    body = await reading
    async for piece in body.pieces():
        yield piece
    if body.broken is not None:
        raise body.broken


class _Taking:
    """The reading of a body; `limit` may be lowered meanwhile."""

    def __init__(self, pieces: AsyncIterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self.limit = limit

    async def run(self) -> Body:
        taken: list[bytes] = []
        size = 0
        try:
            async for piece in self._pieces:
                taken.append(piece)
                size += len(piece)
                if size > self.limit:
                    return Body(b"".join(taken), self._pieces)
        except RegistryError as error:
            return Body(b"".join(taken), broken=error)
        return Body(b"".join(taken))
