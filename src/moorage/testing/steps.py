"""Steps that the suites of uploads take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.digest import digest_of
from moorage.testing.fakes import upload_key
from moorage.testing.streams import pieces, read_all

if TYPE_CHECKING:
    from moorage.blobs.ports import Progress, Sealed, UploadStore
    from moorage.core.digest import Digest
    from moorage.testing.blob_store import Store

KEY = upload_key(1)
OTHER = upload_key(2)


async def append(uploads: UploadStore, data: bytes, offset: int | None = None, key: str = KEY) -> Progress:
    """Append `data` as one request does."""
    return await uploads.append(key, offset, pieces(data), "sha256")


async def stored(store: Store, digest: Digest, sealed: Sealed) -> bytes:
    """The bytes of a sealed blob; they have their digest, or the test fails."""
    data = await read_all(await store.blobs.source(sealed.location, sealed.size, 0, sealed.size))
    assert digest_of(data, digest.algorithm) == digest
    return data
