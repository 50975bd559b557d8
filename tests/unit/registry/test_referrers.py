"""Listing referrers: all of them, once each, oldest first, with those of the fallback tag, on pages that fit."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from moorage.core.digest import digest_of
from moorage.core.media_types import OCI_MANIFEST
from moorage.core.names import fallback_tag, parse_tag
from moorage.registry.referrers import PAGE_BYTES
from moorage.testing.random_images import Content, Image, RandomImages
from tests.support.registry import ALICE, Registry

NAME = "library/app"
SIGNATURE, SBOM, NOTE = "application/x.signature", "application/x.sbom", "application/x.note"


@pytest.fixture
def images() -> RandomImages:
    return RandomImages(11)


@pytest.fixture
def subject(images: RandomImages) -> Content:
    return images.image().manifest


async def listed(
    registry: Registry, subject: Content, *types: str, wanted: int | None = None, name: str = NAME
) -> list[dict[str, Any]]:
    """All pages together; they come to an end, and none has more than was wanted."""
    found: list[bytes] = []
    after = 0
    for _ in range(1000):
        page = await registry.referrers.of(name, subject.digest, types, wanted, after)
        assert wanted is None or len(page.descriptors) <= wanted
        found += page.descriptors
        if page.next_after is None:
            return [json.loads(descriptor) for descriptor in found]
        assert page.descriptors, "a page with nothing on it, and yet more to come"
        assert 0 < page.next_after < 10**18, "it has to fit where the Link is read back"
        after = page.next_after
    raise AssertionError


def digests(descriptors: list[dict[str, Any]]) -> list[str]:
    return [descriptor["digest"] for descriptor in descriptors]


async def push(registry: Registry, *some: Image) -> None:
    for image in some:
        await registry.push_image(NAME, image, image.digest)


async def push_fallback(registry: Registry, images: RandomImages, subject: Content, *entries: Image | Content) -> None:
    """What clients without a referrers API kept: an index under the tag of the subject's digest."""
    lax = registry.having(sparse=True)
    index = images.index_of(tuple(entry if isinstance(entry, Image) else Image(entry) for entry in entries))
    await lax.push_manifest(NAME, index, fallback_tag(subject.digest))


def elsewhere(images: RandomImages, number: int, artifact_type: str = SIGNATURE) -> Content:
    """Something that only the fallback tag knows."""
    data = f"known to the tag alone {number}".encode()
    return Content(OCI_MANIFEST, data, digest_of(data), artifact_type=artifact_type)


async def test_oldest_first_with_all_that_a_client_wants_to_know(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    plain = images.artifact(SIGNATURE, subject)
    noted = images.artifact(SBOM, subject, {"created": "today", "ä": '"\\'})
    await push(registry, plain, noted)
    assert await listed(registry, subject) == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": plain.digest,
            "size": len(plain.manifest.data),
            "artifactType": SIGNATURE,
        },
        {
            "mediaType": OCI_MANIFEST,
            "digest": noted.digest,
            "size": len(noted.manifest.data),
            "artifactType": SBOM,
            "annotations": {"created": "today", "ä": '"\\'},
        },
    ]


async def test_of_nothing_known_there_are_none(registry: Registry, images: RandomImages, subject: Content) -> None:
    """Neither the repository nor the digest need exist: an empty list, never 404."""
    assert await listed(registry, subject) == []
    await push(registry, images.artifact(SIGNATURE, subject))
    assert await listed(registry, images.image().manifest) == []
    assert await listed(registry, subject, name="library/other") == []


async def test_filters_are_united(registry: Registry, images: RandomImages, subject: Content) -> None:
    made = images.referrers(subject, (SIGNATURE, SBOM, NOTE, SIGNATURE))
    await push(registry, *made)
    all_of_them = [image.digest for image in made]
    assert digests(await listed(registry, subject, SIGNATURE)) == [all_of_them[0], all_of_them[3]]
    assert digests(await listed(registry, subject, SBOM, NOTE)) == all_of_them[1:3]
    assert digests(await listed(registry, subject, SIGNATURE, SBOM, NOTE)) == all_of_them
    assert digests(await listed(registry, subject, "application/x.none")) == []
    assert digests(await listed(registry, subject)) == all_of_them


async def test_without_an_artifact_type_it_is_that_of_the_config(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    image = images.image()
    document = json.loads(image.manifest.data) | {"subject": subject.descriptor()}
    data = json.dumps(document).encode()
    await push(registry, Image(Content(OCI_MANIFEST, data, digest_of(data)), image.blobs))
    (found,) = await listed(registry, subject, document["config"]["mediaType"])
    assert found["artifactType"] == document["config"]["mediaType"]


async def test_an_index_may_refer_too(registry: Registry, images: RandomImages, subject: Content) -> None:
    document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
    data = json.dumps(document | {"subject": subject.descriptor(), "artifactType": SBOM}).encode()
    index = Image(Content("application/vnd.oci.image.index.v1+json", data, digest_of(data)))
    await push(registry, index)
    (found,) = await listed(registry, subject)
    assert (found["mediaType"], found["artifactType"]) == (index.manifest.media_type, SBOM)


async def test_pushed_under_several_tags_it_is_listed_once(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    image = images.artifact(SIGNATURE, subject)
    for tag in ("a", "b", "c"):
        await registry.push_image(NAME, image, tag)
    assert digests(await listed(registry, subject)) == [image.digest]


async def test_a_new_one_is_seen_at_once_and_a_deleted_one_no_more(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    first, second = images.referrers(subject, (SIGNATURE, SIGNATURE))
    await push(registry, first)
    assert digests(await listed(registry, subject, SIGNATURE)) == [first.digest]
    await push(registry, second)
    assert digests(await listed(registry, subject, SIGNATURE)) == [first.digest, second.digest]
    await registry.delete.manifest(NAME, first.digest, ALICE)
    assert digests(await listed(registry, subject)) == [second.digest]


@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 6, 100, None])
async def test_the_pages_are_all_referrers(
    registry: Registry, images: RandomImages, subject: Content, wanted: int | None
) -> None:
    made = images.referrers(subject, (SIGNATURE, SBOM) * 3)
    await push(registry, *made)
    assert digests(await listed(registry, subject, wanted=wanted)) == [image.digest for image in made]
    assert digests(await listed(registry, subject, SBOM, wanted=wanted)) == [image.digest for image in made[1::2]]


async def test_none_wanted(registry: Registry, images: RandomImages, subject: Content) -> None:
    await push(registry, images.artifact(SIGNATURE, subject))
    assert await listed(registry, subject, wanted=0) == []


async def test_what_comes_between_the_pages_hides_nothing(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    made = images.referrers(subject, (SIGNATURE,) * 4)
    await push(registry, *made)
    first = await registry.referrers.of(NAME, subject.digest, (), 2, 0)
    late = images.artifact(SIGNATURE, subject)
    await push(registry, late)
    await registry.delete.manifest(NAME, made[0].digest, ALICE)
    assert first.next_after is not None
    second = await registry.referrers.of(NAME, subject.digest, (), 10, first.next_after)
    assert [json.loads(one)["digest"] for one in second.descriptors] == [made[2].digest, made[3].digest, late.digest]


# --- the fallback tag


async def test_what_the_fallback_tag_lists_comes_first(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    old = [elsewhere(images, number) for number in range(2)]
    await push_fallback(registry, images, subject, *old)
    new = images.artifact(SBOM, subject)
    await push(registry, new)
    assert digests(await listed(registry, subject)) == [*(entry.digest for entry in old), new.digest]
    assert digests(await listed(registry, subject, SIGNATURE)) == [entry.digest for entry in old]
    assert digests(await listed(registry, subject, SBOM)) == [new.digest]


async def test_what_both_know_is_listed_once(registry: Registry, images: RandomImages, subject: Content) -> None:
    """A client that keeps the tag up and pushes with a subject: cosign, oras of some versions."""
    both = images.referrers(subject, (SIGNATURE, SBOM))
    only = elsewhere(images, 1)
    await push(registry, *both)
    await push_fallback(registry, images, subject, both[0], only, both[1], only)
    assert digests(await listed(registry, subject)) == [only.digest, both[0].digest, both[1].digest]
    assert digests(await listed(registry, subject, SBOM)) == [both[1].digest]


async def test_what_both_know_is_listed_once_however_many_there_are(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    lax = registry.having(sparse=True)
    made = images.referrers(subject, (SIGNATURE,) * 520)
    await asyncio.gather(*(lax.push_manifest(NAME, image, image.digest) for image in made))
    await push_fallback(registry, images, subject, made[-1], made[0])
    assert digests(await listed(registry, subject)) == [image.digest for image in made]


@pytest.mark.parametrize("wanted", [1, 2, 3, 4, 5, 100])
async def test_pages_that_begin_with_the_fallback_tag(
    registry: Registry, images: RandomImages, subject: Content, wanted: int
) -> None:
    old = [elsewhere(images, number, SIGNATURE if number % 2 else SBOM) for number in range(3)]
    new = images.referrers(subject, (SIGNATURE, SBOM))
    await push_fallback(registry, images, subject, *old)
    await push(registry, *new)
    expected = [*(entry.digest for entry in old), *(image.digest for image in new)]
    assert digests(await listed(registry, subject, wanted=wanted)) == expected
    assert digests(await listed(registry, subject, SBOM, wanted=wanted)) == [expected[0], expected[2], expected[4]]


async def test_a_fallback_tag_alone(registry: Registry, images: RandomImages, subject: Content) -> None:
    old = [elsewhere(images, number) for number in range(3)]
    await push_fallback(registry, images, subject, *old)
    for wanted in (1, 2, 3, None):
        assert digests(await listed(registry, subject, wanted=wanted)) == [entry.digest for entry in old]


async def test_tags_that_only_look_like_a_fallback_tag_do_no_harm(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    """`sha256-zz.sig` and its like brought others down."""
    image = images.image()
    for tag in ("sha256-zz.sig", "sha256-", f"{fallback_tag(subject.digest)}.sig", "sha512-0"):
        await registry.push_image(NAME, image, tag)
    await push(registry, images.artifact(SIGNATURE, subject))
    assert len(await listed(registry, subject)) == 1
    assert await registry.digest_of_tag(NAME, "sha256-zz.sig") == image.digest
    assert parse_tag("sha256-zz.sig") in (await registry.listing.tags(NAME, None, "")).names


async def test_a_fallback_tag_on_something_that_is_no_index(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    await registry.push_image(NAME, images.image(), fallback_tag(subject.digest))
    new = images.artifact(SIGNATURE, subject)
    await push(registry, new)
    assert digests(await listed(registry, subject)) == [new.digest]


async def test_sha512(registry: Registry, images: RandomImages) -> None:
    """The fallback tag has 64 of its 128 digits."""
    subject = RandomImages(3, "sha512").image().manifest
    old, new = elsewhere(images, 1), images.artifact(SIGNATURE, subject)
    await push_fallback(registry, images, subject, old)
    await push(registry, new)
    assert digests(await listed(registry, subject)) == [old.digest, new.digest]


# --- the size of a page


async def test_no_page_is_over_4_mib(registry: Registry, images: RandomImages, subject: Content) -> None:
    """Several clients read no second page, and none takes more: as much as fits, and then a Link."""
    lax = registry.having(sparse=True)
    made = [images.artifact(SIGNATURE, subject, {"filler": str(number) * 700_000}) for number in range(7)]
    for image in made:
        await lax.push_manifest(NAME, image, image.digest)
    sizes = []
    after: int | None = 0
    while after is not None:
        page = await registry.referrers.of(NAME, subject.digest, (), None, after)
        sizes.append([len(descriptor) for descriptor in page.descriptors])
        after = page.next_after
    assert [len(page) for page in sizes] == [5, 2]
    assert all(sum(page) + len(page) <= PAGE_BYTES < 4 * 1024 * 1024 - 1000 for page in sizes)
    assert len(await listed(registry, subject)) == 7


async def test_one_that_is_larger_than_a_page_is_listed_without_its_annotations(
    registry: Registry, images: RandomImages, subject: Content
) -> None:
    lax = registry.having(sparse=True)
    small, large = images.artifact(SIGNATURE, subject), images.artifact(SIGNATURE, subject, {"x": "y" * PAGE_BYTES})
    for image in (large, small):
        await lax.push_manifest(NAME, image, image.digest)
    page = await registry.referrers.of(NAME, subject.digest, (), None, 0)
    assert [json.loads(descriptor) for descriptor in page.descriptors] == [
        {
            "mediaType": image.manifest.media_type,
            "digest": image.digest,
            "size": len(image.manifest.data),
            "artifactType": SIGNATURE,
        }
        for image in (large, small)
    ]
    assert page.next_after is None


async def test_many_small_ones_fit_on_one_page(registry: Registry, images: RandomImages, subject: Content) -> None:
    lax = registry.having(sparse=True)
    made = images.referrers(subject, (SIGNATURE,) * 600)
    await asyncio.gather(*(lax.push_manifest(NAME, image, image.digest) for image in made))
    page = await registry.referrers.of(NAME, subject.digest, (), None, 0)
    assert (len(page.descriptors), page.next_after) == (600, None)
