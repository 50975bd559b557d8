"""Blobs and uploads in this process's memory: for tests and for trying things out; gone when the process ends."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.blobs.layout import blob_location
from moorage.blobs.ports import CHUNK, Chunks, Inline, Progress, Sealed, Source
from moorage.core.digest import Digest, check_content, digest_of
from moorage.core.errors import (
    RegistryError,
    Unavailable,
    UploadBusy,
    UploadRangeInvalid,
    UploadUnknown,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from moorage.blobs.ports import TakenOver


class MemoryBlobs:
    """`BlobStore` in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Digest, bytes]] = {}

    async def stat(self, digest: Digest) -> int | None:
        """The size in bytes, or None."""
        found = self.kept.get(blob_location(digest))
        return len(found[1]) if found else None

    async def source(self, location: str, size: int, start: int, stop: int) -> Source:
        """The bytes at once, or in pieces where they are large."""
        found = self.kept.get(location)
        if found is None or len(found[1]) != size:
            raise Unavailable("The stored content is damaged.")
        if stop - start <= CHUNK:
            return Inline(found[1][start:stop])
        return Chunks(_pieces(found[1], start, stop))

    async def put(self, digest: Digest, data: bytes, *, kept: bool = False) -> Sealed:
        """Keep the bytes."""
        self.kept[blob_location(digest)] = (digest, data)
        return Sealed(len(data), blob_location(digest))

    async def settle(self, blobs: Sequence[tuple[Digest, bytes]], *, left: bool = False) -> dict[Digest, OSError]:
        """Keep them."""
        for digest, data in blobs:
            await self.put(digest, data)
        return {}

    async def delete(self, digest: Digest) -> None:
        """Forget the bytes."""
        self.kept.pop(blob_location(digest), None)

    async def scan(self, after: str = "") -> AsyncIterator[Digest]:
        """All blobs in order of their digests."""
        for digest in sorted(digest for digest, _ in self.kept.values()):
            if digest > after:
                yield digest


async def _pieces(data: bytes, start: int, stop: int) -> AsyncIterator[bytes]:
    for offset in range(start, stop, CHUNK):
        yield data[offset : min(offset + CHUNK, stop)]


async def _take(kept: bytearray, pieces: AsyncIterator[bytes], *, anew: bool) -> Exception | None:
    """Add the pieces, `anew` in place of what is there; why they ended early."""
    try:
        async for piece in pieces:
            if anew:
                kept.clear()
                anew = False
            kept += piece
    except RegistryError as error:
        return error
    return None


class MemoryUploads:
    """`UploadStore` in a dictionary, sealing into a `MemoryBlobs`."""

    def __init__(self, blobs: MemoryBlobs) -> None:
        self._blobs = blobs
        self._kept: dict[str, bytearray] = {}
        self._touched: dict[str, float] = {}
        self._busy: set[str] = set()

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
        """Add bytes at the end."""
        if key in self._busy:
            raise UploadBusy
        if len(self._kept.get(key, b"")) < held:
            raise UploadUnknown
        kept = self._kept.setdefault(key, bytearray())
        if offset is not None and taken_over is None and offset != len(kept):
            raise UploadRangeInvalid(len(kept))
        self._busy.add(key)
        try:
            broken = await _take(kept, pieces, anew=taken_over is not None)
            progress = Progress(len(kept), digest_of(bytes(kept), algorithm), broken)
            if seal is not None and broken is None:
                self._busy.discard(key)
                return replace(progress, sealed=await self.seal(key, seal))
            if taken_over is not None:
                await taken_over(progress)
            return progress
        finally:
            self._busy.discard(key)
            self._touched[key] = time.time()

    async def seal(self, key: str, digest: Digest, known: Progress | None = None) -> Sealed:
        """Check and move to the blobs."""
        if key in self._busy:
            raise UploadBusy
        if key not in self._kept and known is not None and known.size:
            raise UploadUnknown
        data = bytes(self._kept.get(key, b""))
        check_content(digest, digest_of(data, digest.algorithm))
        self._kept.pop(key, None)
        return await self._blobs.put(digest, data)

    async def size(self, key: str) -> int:
        """Bytes held."""
        return len(self._kept.get(key, b""))

    async def drop(self, key: str) -> None:
        """Forget an upload."""
        self._kept.pop(key, None)
        self._touched.pop(key, None)

    async def stale(self, before: float, limit: int) -> list[str]:
        """Keys that nothing was written to since."""
        return [key for key, touched in self._touched.items() if touched < before and key in self._kept][:limit]
