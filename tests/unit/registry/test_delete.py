"""Deleting: gone for everybody when it is answered, and nothing else gone with it."""

from __future__ import annotations

import pytest

from moorage.core.digest import digest_of
from moorage.core.errors import BlobUnknown, ManifestUnknown, ReadOnly, RegistryError, Unsupported
from moorage.core.names import parse_tag
from moorage.metadata.tables import manifest_references, manifests
from moorage.testing.random_images import RandomImages
from tests.support.registry import ALICE, Registry

NAME = "library/app"


async def test_a_tag_alone(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_image(NAME, image, "a", "b")
    await registry.delete.manifest(NAME, parse_tag("a"), ALICE)
    with pytest.raises(ManifestUnknown):
        await registry.digest_of_tag(NAME, "a")
    assert await registry.digest_of_tag(NAME, "b") == image.digest
    await registry.pull.manifest(NAME, image.digest)
    assert await registry.history(NAME, "a") == [(image.digest, None), (None, image.digest)]


async def test_a_manifest_with_all_its_tags(registry: Registry) -> None:
    images = RandomImages(1)
    gone, kept = images.image(), images.image()
    await registry.push_image(NAME, gone, "a", "b")
    await registry.push_image(NAME, kept, "c")
    await registry.push_image("library/other", gone, "a")
    await registry.delete.manifest(NAME, gone.digest, ALICE)
    assert (await registry.listing.tags(NAME, None, "")).names == ["c"]
    with pytest.raises(ManifestUnknown):
        await registry.pull.manifest(NAME, gone.digest)
    for tag in ("a", "b"):
        assert (await registry.history(NAME, tag))[-1] == (None, gone.digest)
    assert await registry.digest_of_tag("library/other", "a") == gone.digest
    assert await registry.count(manifests) == 2
    assert await registry.count(manifest_references) == 6


async def test_what_is_not_there(registry: Registry) -> None:
    await registry.push_image(NAME, RandomImages(1).image())
    for name, reference in (
        (NAME, parse_tag("other")),
        (NAME, digest_of(b"other")),
        ("library/none", parse_tag("latest")),
        ("library/none", digest_of(b"other")),
    ):
        with pytest.raises(ManifestUnknown):
            await registry.delete.manifest(name, reference, ALICE)
    for name in (NAME, "library/none"):
        with pytest.raises(BlobUnknown):
            await registry.delete.blob(name, digest_of(b"other"), ALICE)


async def test_twice(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_image(NAME, image, "a")
    await registry.delete.manifest(NAME, parse_tag("a"), ALICE)
    with pytest.raises(ManifestUnknown):
        await registry.delete.manifest(NAME, parse_tag("a"), ALICE)
    await registry.delete.manifest(NAME, image.digest, ALICE)
    with pytest.raises(ManifestUnknown):
        await registry.delete.manifest(NAME, image.digest, ALICE)


async def test_deleted_and_pushed_again(registry: Registry) -> None:
    image = RandomImages(1).image()
    for _ in range(2):
        await registry.push_image(NAME, image)
        assert await registry.digest_of_tag(NAME) == image.digest
        await registry.delete.manifest(NAME, image.digest, ALICE)
    assert [digest for digest, _ in await registry.history(NAME)] == [image.digest, None, image.digest, None]


async def test_a_blob_from_one_repository(registry: Registry) -> None:
    """Its bytes stay for who else links it, and for garbage collection."""
    digest = await registry.push_blob(NAME, b"layer")
    await registry.push_blob("library/other", b"layer")
    await registry.delete.blob(NAME, digest, ALICE)
    with pytest.raises(BlobUnknown):
        await registry.pull.blob(NAME, digest)
    with pytest.raises(BlobUnknown):
        await registry.pull.promise(NAME, digest)
    with pytest.raises(BlobUnknown):
        await registry.delete.blob(NAME, digest, ALICE)
    await registry.pull.blob("library/other", digest)
    assert await registry.store.blobs.stat(digest) == 5
    assert await registry.push_blob(NAME, b"layer") == digest
    await registry.pull.blob(NAME, digest)


async def test_events(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_image(NAME, image, "a")
    await registry.delete.manifest(NAME, parse_tag("a"), ALICE)
    await registry.delete.manifest(NAME, image.digest, ALICE)
    await registry.delete.blob(NAME, image.blobs[0].digest, ALICE)
    told = [event for event in await registry.told(NAME) if event["action"] == "delete"]
    assert [(event["tag"], event["digest"]) for event in told] == [
        ("a", ""), ("", image.digest), ("", image.blobs[0].digest),
    ]  # fmt: skip
    assert {event["actor"] for event in told} == {"alice"}


@pytest.mark.parametrize(("rules", "error"), [({"delete_enabled": False}, Unsupported), ({"readonly": True}, ReadOnly)])
async def test_switched_off_on_all_three_routes(
    registry: Registry, rules: dict[str, bool], error: type[RegistryError]
) -> None:
    image = RandomImages(1).image()
    await registry.push_image(NAME, image)
    strict = registry.having(**rules)
    for attempt in (
        strict.delete.manifest(NAME, parse_tag("latest"), ALICE),
        strict.delete.manifest(NAME, image.digest, ALICE),
        strict.delete.blob(NAME, image.blobs[0].digest, ALICE),
        strict.delete.manifest(NAME, parse_tag("not-there"), ALICE),
    ):
        with pytest.raises(error) as refused:
            await attempt
        assert refused.value.status == 405
    assert await registry.digest_of_tag(NAME) == image.digest


async def test_a_tag_can_be_deleted_by_its_name_only_exactly(registry: Registry) -> None:
    await registry.push_image(NAME, RandomImages(1).image(), "v1", "V1", "v1.0")
    await registry.delete.manifest(NAME, parse_tag("v1"), ALICE)
    assert (await registry.listing.tags(NAME, None, "")).names == ["V1", "v1.0"]
