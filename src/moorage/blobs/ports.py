"""The two ports to the bytes. Small on purpose: a backend's author writes bytes and nothing else.

Checks of names, translation of errors and timing are the duty of `moorage.blobs.checked`, once for all backends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from moorage.core.digest import Digest

CHUNK = 384 * 1024
"""Bytes that a blob is read and sent in."""


@dataclass(frozen=True, slots=True)
class Inline:
    """The bytes themselves: small, or in memory anyway."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Chunks:
    """The bytes in pieces of about `CHUNK`; close the iterator if it is left early."""

    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the client itself may fetch the bytes."""

    url: str


Source = Inline | Chunks | Redirect


@dataclass(frozen=True, slots=True)
class Sealed:
    """A blob that is there.

    Attributes:
        size: in bytes.
        location: for the `blobs` table.
        content: None where the blob is durable; else its bytes, which the facts must keep until `BlobStore.settle` has
            stored them.
    """

    size: int
    location: str
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload has come.

    Attributes:
        size: bytes that are durable.
        digest: of all of them, or None where it is not known without reading them again.
        broken: why the request's body ended early; what arrived before is kept.
        sealed: the blob that it has become, where that was asked for.
    """

    size: int
    digest: Digest | None
    broken: Exception | None = None
    sealed: Sealed | None = None


Kept = Callable[["Digest"], Awaitable[bytes | None]]
"""Asks the facts for the bytes that they keep of a blob, until it is settled."""

TakenOver = Callable[[Progress], Awaitable[None]]
"""Told that bytes which the facts held are durable in the upload store."""


class BlobStore(Protocol):
    """Finished blobs, by digest."""

    async def stat(self, digest: Digest) -> int | None:
        """The size in bytes, or None where the blob is not there."""
        ...

    async def source(self, location: str, size: int, start: int, stop: int) -> Source:
        """Where to get the bytes from `start` up to `stop` of a blob of `size` bytes.

        Raises:
            Unavailable: the bytes are not there, or are not `size` many: the facts say otherwise, so it is the
                storage's fault.
        """
        ...

    async def put(self, digest: Digest, data: bytes, *, kept: bool = False) -> Sealed:
        """Store small content that is known as a whole. Doing it twice is no error.

        Args:
            digest: of the content.
            data: the content.
            kept: the facts can keep the bytes until `settle`, for whoever reads the blob meanwhile: the store may then
                do nothing yet, and says so in `Sealed.content`.
        """
        ...

    async def settle(self, blobs: Sequence[tuple[Digest, bytes]], *, left: bool = False) -> dict[Digest, OSError]:
        """Store what `put` has left to this, many together; durable when this returns.

        Args:
            blobs: digests and bytes.
            left: they are of others, who may have been told of a disk that failed, and have ended.

        Returns:
            Those that could not be stored, and why; they are not in the way of the others.

        Raises:
            StorageFull: some may be stored, and none need be durable; to be called again.
            Unavailable: the disk could not write something; each is to be put, not `kept`, or this to be called again.
        """
        ...

    async def delete(self, digest: Digest) -> None:
        """Remove the bytes. Doing it twice is no error."""
        ...

    def scan(self, after: str = "") -> AsyncIterator[Digest]:
        """All blobs with a digest greater than `after`, in order."""
        ...


class UploadStore(Protocol):
    """Uploads under way, by key (a UUID). The key is known to the facts before the first byte comes."""

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
        """Add bytes at the end of an upload and hash them as they come.

        One request at a time writes to an upload, whatever process it is in.

        Args:
            key: of the upload; one that has no bytes yet begins here.
            offset: where the bytes are to go, None for "at the end".
            pieces: the bytes. Where the iterator raises a `RegistryError` (the client left, a wrong length), what came
                before is kept and the error is in `Progress.broken`.
            algorithm: to hash with.
            held: bytes that the facts remember the upload to hold. Fewer are there where a sealing was not recorded, or
                after a loss of power; other bytes must not take their place, as the facts know the digest of the old.
            seal: where the body came whole, check all bytes against this digest and make them a blob
                (`Progress.sealed`) before anybody else may write: of several that finish an upload one wins.
            taken_over: for an upload whose bytes the facts held themselves. What is there of an earlier try is thrown
                away when the first piece comes, and this is told how far the upload has come (where it was not sealed)
                before anybody else may write. What it raises is raised.

        Raises:
            UploadBusy: another request is writing.
            UploadUnknown: fewer than `held` bytes are there.
            DigestInvalid: the bytes do not have the digest `seal`; they are kept and nothing became visible.
            UploadRangeInvalid: the upload does not end at `offset`; nothing was taken from `pieces`.
            StorageFull: the upload is as long as it was after the last piece that fitted.
        """
        ...

    async def seal(self, key: str, digest: Digest, known: Progress | None = None) -> Sealed:
        """Check the bytes against `digest` and make them a blob, durable when this returns.

        Args:
            key: of the upload.
            digest: that its bytes should have.
            known: what the facts remember of an earlier request; spares reading the bytes again.

        Raises:
            DigestInvalid: other bytes; nothing became visible.
            UploadUnknown: no such upload (or another request sealed it).
            UploadBusy: another request is writing.
        """
        ...

    async def size(self, key: str) -> int:
        """Bytes that the upload holds; 0 where none ever came."""
        ...

    async def drop(self, key: str) -> None:
        """Forget an upload and its bytes. Doing it twice is no error."""
        ...

    async def stale(self, before: float, limit: int) -> list[str]:
        """Up to `limit` keys of uploads that nothing was written to since `before` (seconds since 1970)."""
        ...
