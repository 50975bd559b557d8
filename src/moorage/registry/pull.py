"""Pulling manifests and blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from moorage.core.digest import Digest
from moorage.core.errors import BlobUnknown, ManifestUnknown, Unavailable
from moorage.metadata.blobs import LINKED_BLOB, renew_lease
from moorage.metadata.manifests import INLINE_LIMIT, MANIFEST_BY_DIGEST, MANIFEST_BY_TAG, PAYLOAD_PART

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from moorage.blobs.ports import Source
    from moorage.core.access import Binding
    from moorage.core.names import Reference
    from moorage.registry.parts import Parts

SLICE = 32 * 1024
"""Bytes of a large manifest that are sent at a time; the server keeps several for a slow client."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it is served; `payload` is None where it is large (then `Pull.payload` streams it)."""

    digest: str
    media_type: str
    size: int
    id: int
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class LinkedBlob:
    """A blob that a repository links, `size` in bytes."""

    digest: Digest
    size: int
    location: str


class Pull:
    """The use cases of a pull: one query each, payload included."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._blobs = parts.blobs
        self._clock = parts.clock
        self._renew_after = parts.settings.lease_seconds / 4

    async def manifest(self, name: str, reference: Reference, bound: Binding | None = None) -> StoredManifest:
        """The manifest that a tag points to, or of a digest.

        Raises:
            ManifestUnknown: not in this repository (or the repository is not there, or is not what it has to be).
        """
        query = MANIFEST_BY_DIGEST if isinstance(reference, Digest) else MANIFEST_BY_TAG
        row = await self._database.lookup(query, name, reference)
        if row is None:
            raise ManifestUnknown(detail={"name": name, "reference": reference})
        digest, media_type, size, key, payload, project, repository = cast(
            "tuple[str, str, int, int, bytes | None, int, int]", row
        )
        if bound is not None and not bound.holds(project, repository):
            raise ManifestUnknown(detail={"name": name, "reference": reference})
        return StoredManifest(digest, media_type, size, key, payload)

    async def payload(self, manifest: StoredManifest) -> AsyncIterator[bytes]:
        """The bytes of a large manifest in pieces, so that slow clients cost a piece each."""
        for start in range(0, manifest.size, INLINE_LIMIT):
            row = await self._database.lookup(PAYLOAD_PART, start + 1, INLINE_LIMIT, manifest.id)
            if row is None or not row[0]:
                raise Unavailable("The manifest was deleted while it was being sent.")
            part = cast("bytes", row[0])
            for offset in range(0, len(part), SLICE):
                yield part[offset : offset + SLICE]

    async def blob(self, name: str, digest: Digest, bound: Binding | None = None) -> LinkedBlob:
        """A blob, if this repository links it: deduplication never becomes a right to read.

        Raises:
            BlobUnknown: not linked here, or the repository is not what it has to be.
        """
        row = await self._database.lookup(LINKED_BLOB, name, digest)
        if row is None:
            raise BlobUnknown(detail={"name": name, "digest": digest})
        size, location, _, project, repository = cast("tuple[int, str, float, int, int]", row)
        if bound is not None and not bound.holds(project, repository):
            raise BlobUnknown(detail={"name": name, "digest": digest})
        return LinkedBlob(digest, size, location)

    async def promise(self, name: str, digest: Digest) -> LinkedBlob:
        """A blob that the client is told to be there: its lease is renewed first, where it is older than a quarter.

        Whoever hears "exists" leaves the upload out and names the blob in a manifest minutes later.
        """
        row = await self._database.lookup(LINKED_BLOB, name, digest)
        if row is None:
            raise BlobUnknown(detail={"name": name, "digest": digest})
        size, location, leased_at, *_ = cast("tuple[int, str, float, int, int]", tuple(row))
        now = self._clock.now()
        if now - leased_at > self._renew_after and not await self._database.write(
            lambda connection: renew_lease(connection, name, digest, now)
        ):
            raise BlobUnknown(detail={"name": name, "digest": digest})
        return LinkedBlob(digest, size, location)

    async def source(self, blob: LinkedBlob, start: int, stop: int) -> Source:
        """Where the bytes from `start` up to `stop` are."""
        return await self._blobs.source(blob.location, blob.size, start, stop)
