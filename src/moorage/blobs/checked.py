"""The common duty around any backend: names checked, errors translated, durations told.

A key or digest that reaches a backend is safe to be part of a path; an `OSError` that leaves one has become a
`StorageFull` or an `Unavailable`, never an "absent".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from moorage.core.digest import parse_digest
from moorage.core.errors import DigestInvalid, Unavailable, UploadUnknown, meaning_on_disk
from moorage.core.names import is_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from moorage.blobs.ports import BlobStore, Progress, Sealed, Source, TakenOver, UploadStore
    from moorage.core.digest import Digest

    Observe = Callable[[str, float], None]


def _ignore(_action: str, _seconds: float) -> None:
    return


class _Duty:
    """Around one call of a backend. No generator: this is on the way of every push."""

    __slots__ = ("_action", "_begun", "_observe")

    def __init__(self, action: str, observe: Observe) -> None:
        self._action = action
        self._observe = observe

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._observe(self._action, time.perf_counter() - self._begun)
        if isinstance(error, OSError):
            raise meaning_on_disk(error) from error


class CheckedBlobs:
    """A `BlobStore` around another one.

    Args:
        inner: the backend.
        observe: told the action's name and its duration in seconds.
    """

    def __init__(self, inner: BlobStore, observe: Observe = _ignore) -> None:
        self._inner = inner
        self._observe = observe

    async def stat(self, digest: Digest) -> int | None:
        """See `BlobStore.stat`."""
        with _Duty("stat", self._observe):
            return await self._inner.stat(parse_digest(digest))

    async def source(self, location: str, size: int, start: int, stop: int) -> Source:
        """See `BlobStore.source`."""
        if not 0 <= start <= stop <= size:
            raise ValueError((start, stop, size))
        begun = time.perf_counter()
        try:
            return await self._inner.source(location, size, start, stop)
        except OSError as error:
            raise Unavailable from error
        finally:
            self._observe("source", time.perf_counter() - begun)

    async def put(self, digest: Digest, data: bytes, *, kept: bool = False) -> Sealed:
        """See `BlobStore.put`."""
        with _Duty("put", self._observe):
            return await self._inner.put(parse_digest(digest), data, kept=kept)

    async def settle(self, blobs: Sequence[tuple[Digest, bytes]], *, left: bool = False) -> dict[Digest, OSError]:
        """See `BlobStore.settle`."""
        with _Duty("settle", self._observe):
            return await self._inner.settle([(parse_digest(digest), data) for digest, data in blobs], left=left)

    async def delete(self, digest: Digest) -> None:
        """See `BlobStore.delete`."""
        with _Duty("delete", self._observe):
            await self._inner.delete(parse_digest(digest))

    async def scan(self, after: str = "") -> AsyncIterator[Digest]:
        """See `BlobStore.scan`; what is no digest is passed over."""
        async for digest in self._inner.scan(after):
            try:
                checked = parse_digest(digest)
            except DigestInvalid:
                continue
            yield checked


class CheckedUploads:
    """An `UploadStore` around another one; arguments as in `CheckedBlobs`."""

    def __init__(self, inner: UploadStore, observe: Observe = _ignore) -> None:
        self._inner = inner
        self._observe = observe

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
        """See `UploadStore.append`."""
        with _Duty("append", self._observe):
            return await self._inner.append(_checked_key(key), offset, pieces, algorithm, held, seal, taken_over)

    async def seal(self, key: str, digest: Digest, known: Progress | None = None) -> Sealed:
        """See `UploadStore.seal`."""
        with _Duty("seal", self._observe):
            return await self._inner.seal(_checked_key(key), parse_digest(digest), known)

    async def size(self, key: str) -> int:
        """See `UploadStore.size`."""
        with _Duty("size", self._observe):
            return await self._inner.size(_checked_key(key))

    async def drop(self, key: str) -> None:
        """See `UploadStore.drop`."""
        with _Duty("drop", self._observe):
            await self._inner.drop(_checked_key(key))

    async def stale(self, before: float, limit: int) -> list[str]:
        """See `UploadStore.stale`; what is no key is passed over."""
        with _Duty("stale", self._observe):
            found = await self._inner.stale(before, limit)
            return [key for key in found if is_key(key)]


def _checked_key(key: str) -> str:
    if not is_key(key):
        raise UploadUnknown
    return key
