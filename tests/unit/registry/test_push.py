"""Pushing manifests: what they name must be there, tags have a history, and a condition that fails stores nothing."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from moorage.core.digest import digest_of
from moorage.core.errors import (
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    PreconditionFailed,
    ReadOnly,
)
from moorage.core.media_types import FOREIGN_LAYERS, OCI_MANIFEST
from moorage.core.names import parse_tag
from moorage.metadata.tables import events, manifest_references, manifests, repositories, tags
from moorage.registry.push import Condition, Wish
from moorage.testing.random_images import Content, Image, RandomImages
from tests.support.registry import ALICE, Registry

NAME = "library/app"


def edited(image: Image, **members: Any) -> Image:
    """The same image with other members in its manifest."""
    document = json.loads(image.manifest.data) | members
    data = json.dumps(document).encode()
    return replace(image, manifest=Content(image.manifest.media_type, data, digest_of(data)))


# --- what is stored


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_bytes_are_stored_as_they_came(registry: Registry, algorithm: str) -> None:
    image = RandomImages(1, algorithm).image()
    spaced = json.dumps(json.loads(image.manifest.data), indent=7).encode() + b"\n\n "
    image = replace(image, manifest=Content(OCI_MANIFEST, spaced, digest_of(spaced, algorithm)))
    await registry.push_image(NAME, image, image.digest)
    found = await registry.pull.manifest(NAME, image.digest)
    assert found.payload == spaced


async def test_by_tag_it_has_the_canonical_digest(registry: Registry) -> None:
    image = RandomImages(1).image()
    pushed = await registry.push_image(NAME, image)
    assert pushed.digest == image.digest
    assert pushed.subject is None
    assert pushed.warnings == ()


async def test_all_kinds(registry: Registry) -> None:
    images = RandomImages(2)
    subject = images.image()
    nested = images.index_of((images.index(2), images.image()))
    for number, image in enumerate(
        (subject, images.index(3), nested, images.cache(), images.artifact(subject=subject.manifest))
    ):
        pushed = await registry.push_image(NAME, image, f"v{number}")
        assert await registry.digest_of_tag(NAME, f"v{number}") == pushed.digest == image.digest


async def test_by_digest_with_tags(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_image(NAME, image, image.digest, "a", "b", "a")
    assert (await registry.listing.tags(NAME, None, "")).names == ["a", "b"]
    assert [event["tag"] for event in await registry.told(NAME) if event["media_type"] == OCI_MANIFEST] == ["a", "b"]


async def test_by_tag_with_more_tags(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_image(NAME, image, "a", "b", "c")
    assert (await registry.listing.tags(NAME, None, "")).names == ["a", "b", "c"]


async def test_by_digest_alone_no_tag_is_set(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_image(NAME, image, image.digest)
    assert (await registry.listing.tags(NAME, None, "")).names == []
    assert [event["tag"] for event in await registry.told(NAME)][-1] == ""


async def test_another_digest_than_that_of_the_bytes(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_blobs(NAME, image)
    for algorithm in ("sha256", "sha512"):
        with pytest.raises(DigestInvalid):
            await registry.push_manifest(NAME, image, digest_of(b"other", algorithm))
        wish = Wish(NAME, parse_tag("v1"), (), OCI_MANIFEST, image.manifest.data, digest=digest_of(b"other", algorithm))
        with pytest.raises(DigestInvalid):
            await registry.push.manifest(wish, ALICE)
    assert await registry.count(manifests) == 0
    wish = Wish(
        NAME, parse_tag("v1"), (), OCI_MANIFEST, image.manifest.data, digest=digest_of(image.manifest.data, "sha512")
    )
    assert (await registry.push.manifest(wish, ALICE)).digest.algorithm == "sha512"


async def test_what_is_no_manifest_leaves_nothing(registry: Registry) -> None:
    for data in (b"", b"{}", b"[]", b'{"schemaVersion": 2}', b"\xff", b"{" * 100_000):
        with pytest.raises(ManifestInvalid):
            await registry.push_manifest(NAME, Content(OCI_MANIFEST, data, digest_of(data)))
    assert await registry.count(repositories) == 0


async def test_a_large_manifest_is_read_the_same_way(registry: Registry) -> None:
    images = RandomImages(1)
    image = images.image(annotations={"filler": "x" * 300_000})
    await registry.push_image(NAME, image)
    with pytest.raises(ManifestInvalid):
        await registry.push_manifest(NAME, edited(image, Layers=[]))


async def test_pushed_again_nothing_moves(registry: Registry) -> None:
    image = RandomImages(1).image()
    for _ in range(3):
        await registry.push_image(NAME, image)
    assert await registry.history(NAME) == [(image.digest, None)]
    assert await registry.count(manifests) == 1
    assert await registry.count(manifest_references) == 3


async def test_a_moved_tag_has_a_history(registry: Registry) -> None:
    images = RandomImages(1)
    first, second = images.image(), images.image()
    for image in (first, second, second, first):
        await registry.push_image(NAME, image)
    assert await registry.digest_of_tag(NAME) == first.digest
    assert await registry.history(NAME) == [
        (first.digest, None),
        (second.digest, first.digest),
        (first.digest, second.digest),
    ]
    assert (await registry.pull.manifest(NAME, second.digest)).digest == second.digest, "it is there without a tag"


async def test_what_a_manifest_names_is_recorded(registry: Registry) -> None:
    images = RandomImages(1)
    index = images.index(2)
    await registry.push_image(NAME, index)
    statement = select(manifest_references.c.kind, manifest_references.c.digest).join(
        manifests, manifests.c.id == manifest_references.c.manifest_id
    )

    async def named(image: Image) -> list[tuple[str, str]]:
        mine = statement.where(manifests.c.digest == image.digest).order_by(manifest_references.c.position)
        return await registry.database.read(lambda c: [(row[0], row[1]) for row in c.execute(mine)])

    assert await named(index) == [("child", child.digest) for child in index.children]
    child = index.children[0]
    assert await named(child) == [("config", child.blobs[0].digest), ("layer", child.blobs[1].digest)]


# --- what must be there


async def test_a_blob_that_is_missing(registry: Registry) -> None:
    image = RandomImages(1).image(3)
    for missing in image.blobs:
        for blob in image.blobs:
            if blob is not missing:
                await registry.push_blob(NAME, blob)
        with pytest.raises(ManifestBlobUnknown) as refused:
            await registry.push_manifest(NAME, image)
        assert refused.value.detail == {"missing": [missing.digest]}
        await registry.delete.blob(NAME, image.blobs[0].digest, ALICE) if missing is not image.blobs[0] else None
        for blob in image.blobs[1:]:
            if blob is not missing:
                await registry.delete.blob(NAME, blob.digest, ALICE)
    assert await registry.count(manifests) == 0
    with pytest.raises(ManifestUnknown):
        await registry.digest_of_tag(NAME)


async def test_blobs_of_another_repository_do_not_count(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_image("library/other", image)
    with pytest.raises(ManifestBlobUnknown):
        await registry.push_manifest(NAME, image)
    with pytest.raises(NameUnknown):
        await registry.listing.tags(NAME, None, "")


async def test_very_many_missing_are_not_all_listed(registry: Registry) -> None:
    image = RandomImages(1).image(1)
    layer = image.blobs[1].descriptor()
    layers = [layer | {"digest": digest_of(str(number).encode())} for number in range(3000)]
    with pytest.raises(ManifestBlobUnknown) as refused:
        await registry.push_manifest(NAME, edited(image, layers=layers))
    assert len(refused.value.detail["missing"]) == 100  # type: ignore[index]


@pytest.mark.parametrize("media_type", sorted(FOREIGN_LAYERS))
async def test_foreign_layers_need_not_be_there(registry: Registry, media_type: str) -> None:
    """Their bytes live elsewhere and are never fetched."""
    image = RandomImages(1).image(1)
    await registry.push_blobs(NAME, image)
    own = image.blobs[1].descriptor()
    foreign = {"mediaType": media_type, "digest": digest_of(b"elsewhere"), "size": 5}
    linked = {
        "mediaType": own["mediaType"],
        "digest": digest_of(b"also"),
        "size": 4,
        "urls": ["https://elsewhere.test/x"],
    }
    pushed = await registry.push_manifest(NAME, edited(image, layers=[own, foreign, linked]))
    assert any("foreign layers" in warning and "2" in warning for warning in pushed.warnings)
    with pytest.raises(ManifestBlobUnknown):
        await registry.push_manifest(NAME, edited(image, layers=[own, foreign, {**linked, "urls": []}]))


async def test_a_config_is_never_foreign(registry: Registry) -> None:
    image = RandomImages(1).image(1)
    await registry.push_blob(NAME, image.blobs[1])
    config = image.blobs[0].descriptor() | {"urls": ["https://elsewhere.test/config"]}
    with pytest.raises(ManifestBlobUnknown):
        await registry.push_manifest(NAME, edited(image, config=config))


async def test_the_subject_need_not_be_there(registry: Registry) -> None:
    images = RandomImages(1)
    subject = images.image()
    pushed = await registry.push_image(NAME, images.artifact(subject=subject.manifest))
    assert pushed.subject == subject.digest


# --- sparse indexes


def platform_index() -> Image:
    """Of linux/amd64, linux/arm64 and linux/riscv64, and something for no platform."""
    images = RandomImages(7)
    return images.index_of((*images.index(3).children, images.artifact()))


async def push_some(registry: Registry, index: Image, *present: int) -> None:
    for number in present:
        await registry.push_image(NAME, index.children[number], index.children[number].digest)


async def test_an_index_with_all_that_it_lists(registry: Registry) -> None:
    index = platform_index()
    await push_some(registry, index, 0, 1, 2)
    with pytest.raises(ManifestBlobUnknown) as refused:
        await registry.push_manifest(NAME, index)
    assert refused.value.detail == {"missing": [index.children[3].digest]}
    await push_some(registry, index, 3)
    assert (await registry.push_manifest(NAME, index)).warnings == ()


@pytest.mark.parametrize("rules", [{"platforms": "none"}, {"sparse": True}, {"validate": False}])
async def test_an_index_of_which_nothing_is_there(registry: Registry, rules: dict[str, Any]) -> None:
    lax = registry.having(**rules)
    pushed = await lax.push_manifest(NAME, platform_index())
    assert any("4" in warning for warning in pushed.warnings)


@pytest.mark.parametrize("present", [subset for size in range(4) for subset in itertools.combinations(range(4), size)])
async def test_an_index_of_which_some_platforms_must_be_there(registry: Registry, present: tuple[int, ...]) -> None:
    """Those in the operator's list, and what is for no platform at all."""
    chosen = registry.having(platforms="list", platform_list=(("amd64", "linux"), ("s390x", "linux")))
    index = platform_index()
    await push_some(chosen, index, *present)
    if {0, 3} <= set(present):
        assert bool((await chosen.push_manifest(NAME, index)).warnings) == (len(present) < 4)
    else:
        with pytest.raises(ManifestBlobUnknown) as refused:
            await chosen.push_manifest(NAME, index)
        expected = sorted(index.children[number].digest for number in {0, 3} - set(present))
        assert refused.value.detail == {"missing": expected}


async def test_an_image_must_be_complete_whatever_indexes_may_be(registry: Registry) -> None:
    image = RandomImages(1).image()
    for rules in ({"platforms": "none"}, {"platforms": "list"}):
        with pytest.raises(ManifestBlobUnknown):
            await registry.having(**rules).push_manifest(NAME, image)
    await registry.having(sparse=True).push_manifest(NAME, image)


async def test_the_children_of_a_buildkit_cache_are_blobs(registry: Registry) -> None:
    cache = RandomImages(1).cache(3)
    for blob in cache.blobs[:-1]:
        await registry.push_blob(NAME, blob)
    with pytest.raises(ManifestBlobUnknown):
        await registry.push_manifest(NAME, cache, "cache")
    await registry.push_blob(NAME, cache.blobs[-1])
    assert (await registry.push_manifest(NAME, cache, "cache")).warnings == ()


# --- classes of content

IMAGE_CONFIGS = ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")
PLUGIN_CONFIG = "application/vnd.docker.plugin.v1+json"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"


@pytest.mark.parametrize(
    ("classes", "config", "taken"),
    [
        ((), HELM_CONFIG, True),
        (("image",), IMAGE_CONFIGS[0], True),
        (("image",), IMAGE_CONFIGS[1], True),
        (("image",), PLUGIN_CONFIG, False),
        (("image",), HELM_CONFIG, False),
        (("plugin",), PLUGIN_CONFIG, True),
        (("plugin",), IMAGE_CONFIGS[0], False),
        (("image", "plugin"), PLUGIN_CONFIG, True),
    ],
)
async def test_classes(registry: Registry, classes: tuple[str, ...], config: str, taken: bool) -> None:
    image = RandomImages(1).image(1)
    await registry.push_blobs(NAME, image)
    member = json.loads(image.manifest.data)["config"] | {"mediaType": config}
    attempt = registry.having(classes=classes).push_manifest(NAME, edited(image, config=member))
    if taken:
        await attempt
    else:
        with pytest.raises(Denied, match=f"only: {classes[0]}"):
            await attempt


async def test_an_index_has_no_class(registry: Registry) -> None:
    index = RandomImages(1).index(2)
    await registry.push_blobs(NAME, index)
    await registry.having(classes=("plugin",)).push_manifest(NAME, index)


# --- addresses of foreign layers


@pytest.mark.parametrize(
    ("rules", "url", "taken"),
    [
        ({}, "https://a.test/x", True),
        ({"url_allow": ("^https://a\\.test/",)}, "https://a.test/x", True),
        ({"url_allow": ("^https://a\\.test/",)}, "https://b.test/x", False),
        ({"url_allow": ("^https://a\\.test/",)}, "http://b.test/https://a.test/", False),
        ({"url_deny": ("b\\.test",)}, "https://b.test/x", False),
        ({"url_deny": ("b\\.test",)}, "https://a.test/x", True),
        ({"url_allow": ("test",), "url_deny": ("b\\.test",)}, "https://b.test/x", False),
        ({"url_deny": ("b\\.test",), "validate": False}, "https://b.test/x", True),
    ],
)
async def test_addresses(registry: Registry, rules: dict[str, Any], url: str, taken: bool) -> None:
    image = RandomImages(1).image(1)
    await registry.push_blobs(NAME, image)
    layer = {"mediaType": "a/b", "digest": digest_of(b"x"), "size": 1, "urls": ["https://a.test/1", url]}
    attempt = registry.having(**rules).push_manifest(NAME, edited(image, layers=[layer]))
    if taken:
        await attempt
    else:
        with pytest.raises(ManifestInvalid, match="address"):
            await attempt


# --- conditions

OTHER = digest_of(b"other")
STATES = ("absent", "mine", "another")


def holds(condition: str, state: str) -> bool:
    """RFC 9110 section 13.1, said once more."""
    kind, _, value = condition.partition("=")
    matches = state != "absent" and value in ("*", state, "list")
    return matches if kind == "match" else not matches


CONDITIONS = [
    f"{kind}={value}" for kind in ("match", "none_match") for value in ("*", "mine", "another", "list", "nothing")
]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("state", STATES)
async def test_the_matrix_of_conditions(registry: Registry, state: str, condition: str) -> None:
    images = RandomImages(1)
    mine, another = images.image(annotations={"a": "mine"}), images.image(annotations={"a": "another"})
    for image in (mine, another):
        await registry.push_blobs(NAME, image)
    if state != "absent":
        await registry.push_manifest(NAME, mine if state == "mine" else another)
    kind, _, value = condition.partition("=")
    digests: dict[str, set[str]] = {
        "*": {"*"},
        "mine": {mine.digest},
        "another": {another.digest},
        "list": {OTHER, mine.digest, another.digest},
        "nothing": {OTHER},
    }
    before = (await registry.history(NAME), await registry.count(manifests), await registry.count(events))
    attempt = registry.push_manifest(NAME, mine, condition=Condition(**{kind: frozenset(digests[value])}))
    if holds(condition, state):
        await attempt
        assert await registry.digest_of_tag(NAME) == mine.digest
    else:
        with pytest.raises(PreconditionFailed) as refused:
            await attempt
        assert refused.value.status == 412
        assert (await registry.history(NAME), await registry.count(manifests), await registry.count(events)) == before


async def test_both_conditions_must_hold(registry: Registry) -> None:
    images = RandomImages(1)
    first, second = images.image(), images.image()
    await registry.push_image(NAME, first)
    await registry.push_blobs(NAME, second)
    both = Condition(frozenset({first.digest}), frozenset({second.digest}))
    await registry.push_manifest(NAME, second, condition=both)
    with pytest.raises(PreconditionFailed):
        await registry.push_manifest(NAME, second, condition=both)


async def test_a_condition_on_a_digest_asks_whether_it_is_there(registry: Registry) -> None:
    image = RandomImages(1).image()
    await registry.push_blobs(NAME, image)
    with pytest.raises(PreconditionFailed):
        await registry.push_manifest(NAME, image, image.digest, condition=Condition(match=frozenset({"*"})))
    new = Condition(none_match=frozenset({"*"}))
    await registry.push_manifest(NAME, image, image.digest, condition=new)
    with pytest.raises(PreconditionFailed):
        await registry.push_manifest(NAME, image, image.digest, condition=new)
    assert await registry.count(tags) == 0


async def test_a_condition_on_a_digest_with_tags_asks_the_tags(registry: Registry) -> None:
    images = RandomImages(1)
    first, second = images.image(), images.image()
    new = Condition(none_match=frozenset({"*"}))
    await registry.push_image(NAME, first, first.digest)
    await registry.push_manifest(
        NAME, first, first.digest, "v1", condition=new
    )  # the manifest is there, the tag is not
    await registry.push_blobs(NAME, second)
    for wanted in (("v1",), ("v2", "v1")):
        with pytest.raises(PreconditionFailed) as refused:
            await registry.push_manifest(NAME, second, second.digest, *wanted, condition=new)
        assert refused.value.detail == {"current": first.digest}
    with pytest.raises(PreconditionFailed):
        await registry.push_manifest(NAME, second, "v2", "v1", condition=new)
    assert (await registry.listing.tags(NAME, None, "")).names == ["v1"]
    moved = Condition(match=frozenset({first.digest}))
    await registry.push_manifest(NAME, second, second.digest, "v1", condition=moved)
    assert await registry.digest_of_tag(NAME, "v1") == second.digest


async def test_a_condition_that_fails_makes_no_repository(registry: Registry) -> None:
    image = RandomImages(1).image()
    with pytest.raises(PreconditionFailed):
        await registry.push_manifest("never/seen", image, condition=Condition(match=frozenset({OTHER})))
    assert await registry.count(repositories) == 0


# --- switches and events


async def test_the_operators_switches(registry: Registry) -> None:
    image = RandomImages(1).image()
    with pytest.raises(ReadOnly):
        await registry.having(readonly=True).push_manifest(NAME, image)
    with pytest.raises(Denied):
        await registry.having(repository_allow=("^team/",)).push_manifest(NAME, image)


async def test_an_event_for_each_tag_in_the_transaction_of_the_change(registry: Registry) -> None:
    image = RandomImages(1).image(0)
    await registry.push_image(NAME, image, "a", "b")
    pushed = [event for event in await registry.told(NAME) if event["media_type"] == OCI_MANIFEST]
    assert [(event["tag"], event["digest"], event["size"], event["actor"]) for event in pushed] == [
        ("a", image.digest, len(image.manifest.data), "alice"),
        ("b", image.digest, len(image.manifest.data), "alice"),
    ]
