"""Pulling: bytes as they were pushed, only from where they were pushed; and "exists" is a promise."""

from __future__ import annotations

import asyncio

import pytest

from moorage.core.digest import digest_of
from moorage.core.errors import BlobUnknown, ManifestUnknown, Unavailable
from moorage.core.names import parse_tag
from moorage.metadata.blobs import LINKED_BLOB
from moorage.metadata.manifests import INLINE_LIMIT
from moorage.registry.pull import LinkedBlob
from moorage.testing.random_images import Image, RandomImages
from tests.support.registry import ALICE, Registry

NAME = "library/app"
DAY = 86_400


def large(size: int) -> Image:
    """An artifact whose manifest has more than `size` bytes."""
    return RandomImages(5).artifact(annotations={"filler": "x" * size})


async def lease(registry: Registry, digest: str, name: str = NAME) -> object:
    row = await registry.database.lookup(LINKED_BLOB, name, digest)
    assert row is not None
    return row[2]


@pytest.mark.parametrize("size", [10, INLINE_LIMIT - 2000, INLINE_LIMIT, 3 * INLINE_LIMIT + 5])
async def test_a_manifest_by_tag_and_by_digest(registry: Registry, size: int) -> None:
    image = large(size)
    await registry.push_image(NAME, image)
    for reference in (parse_tag("latest"), image.digest):
        found = await registry.pull.manifest(NAME, reference)
        assert (found.digest, found.media_type, found.size) == (
            image.digest, image.manifest.media_type, len(image.manifest.data),
        )  # fmt: skip
        whole = b"".join([piece async for piece in registry.pull.payload(found)])
        assert whole == image.manifest.data
        assert found.payload in (None, whole)
        assert (found.payload is None) == (len(whole) > INLINE_LIMIT)


async def test_what_is_not_there_is_unknown(registry: Registry) -> None:
    image = RandomImages(1).artifact()
    await registry.push_image(NAME, image)
    for name, reference in (
        (NAME, parse_tag("Latest")),
        (NAME, digest_of(b"other")),
        ("library/other", parse_tag("latest")),
        ("library/other", image.digest),
    ):
        with pytest.raises(ManifestUnknown) as refused:
            await registry.pull.manifest(name, reference)
        assert refused.value.status == 404


async def test_a_large_manifest_that_is_deleted_while_it_is_sent(registry: Registry) -> None:
    image = large(3 * INLINE_LIMIT)
    await registry.push_image(NAME, image)
    found = await registry.pull.manifest(NAME, image.digest)
    payload = registry.pull.payload(found)
    assert 0 < len(await anext(payload)) < found.size
    await registry.delete.manifest(NAME, image.digest, ALICE)
    with pytest.raises(Unavailable):
        async for _ in payload:
            pass


async def test_a_blob_whose_bytes_are_lost_is_not_absent(registry: Registry) -> None:
    """A 404 would let clients upload again, and policies delete."""
    digest = await registry.push_blob(NAME, b"lost")
    await registry.store.blobs.delete(digest)
    blob = await registry.pull.blob(NAME, digest)
    with pytest.raises(Unavailable):
        await registry.pull.source(blob, 0, blob.size)


async def test_whoever_hears_that_it_exists_can_rely_on_it(registry: Registry) -> None:
    """HEAD renews the lease where it is older than a quarter; before, nothing is written."""
    digest = await registry.push_blob(NAME, b"layer")
    pushed = registry.clock.now()
    registry.clock.advance(DAY / 4)
    await registry.pull.promise(NAME, digest)
    assert await lease(registry, digest) == pushed, "a quarter is not more than a quarter"
    registry.clock.advance(1)
    assert (await registry.pull.promise(NAME, digest)).size == 5
    assert await lease(registry, digest) == registry.clock.now()


async def test_a_get_promises_nothing(registry: Registry) -> None:
    digest = await registry.push_blob(NAME, b"layer")
    pushed = registry.clock.now()
    registry.clock.advance(DAY)
    await registry.pull.blob(NAME, digest)
    assert await lease(registry, digest) == pushed


async def test_hot_promises_write_nothing(registry: Registry) -> None:
    digest = await registry.push_blob(NAME, b"layer")

    async def no(*_: object, **__: object) -> None:
        raise AssertionError

    registry.database.write = no  # type: ignore[method-assign, assignment]
    for _ in range(20):
        registry.clock.advance(DAY / 100)
        await registry.pull.promise(NAME, digest)


async def test_a_lease_is_that_of_one_repository(registry: Registry) -> None:
    digest = await registry.push_blob(NAME, b"layer")
    await registry.push_blob("library/other", b"layer")
    pushed = registry.clock.now()
    registry.clock.advance(DAY)
    await registry.pull.promise(NAME, digest)
    assert await lease(registry, digest, "library/other") == pushed


async def test_the_time_of_a_lease_is_the_operators(registry: Registry) -> None:
    digest = await registry.push_blob(NAME, b"layer")
    registry.clock.advance(26)
    await registry.having(lease_seconds=100).pull.promise(NAME, digest)
    assert await lease(registry, digest) == registry.clock.now()


async def test_a_clock_that_goes_back_harms_nothing(registry: Registry) -> None:
    digest = await registry.push_blob(NAME, b"layer")
    registry.clock.advance(-2 * DAY)
    assert (await registry.pull.promise(NAME, digest)).size == 5


async def test_a_promise_of_what_was_taken_away_meanwhile(registry: Registry) -> None:
    """Between the question and the renewal the blob was deleted: absent, not promised."""
    digest = await registry.push_blob(NAME, b"layer")
    registry.clock.advance(DAY)
    results = await asyncio.gather(
        registry.delete.blob(NAME, digest, ALICE), registry.pull.promise(NAME, digest), return_exceptions=True
    )
    assert results[0] is None
    assert isinstance(results[1], BlobUnknown | LinkedBlob)
    with pytest.raises(BlobUnknown):
        await registry.pull.promise(NAME, digest)


async def test_pushing_and_mounting_renew_the_lease(registry: Registry) -> None:
    digest = await registry.push_blob(NAME, b"layer")
    registry.clock.advance(5)
    await registry.push_blob(NAME, b"layer")
    assert await lease(registry, digest) == registry.clock.now()
    registry.clock.advance(5)
    assert await registry.mount.blob("library/other", digest, NAME, ALICE)
    assert await lease(registry, digest, "library/other") == registry.clock.now()
    registry.clock.advance(5)
    assert await registry.mount.blob("library/other", digest, NAME, ALICE)
    assert await lease(registry, digest, "library/other") == registry.clock.now()
