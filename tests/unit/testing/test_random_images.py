"""The random images are what they say, and the same ones for the same seed."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from moorage.core.digest import digest_of
from moorage.core.manifest import parse_manifest
from moorage.testing.random_images import PLATFORMS, Image, RandomImages


def everything(seed: int, algorithm: str = "sha256") -> list[Image]:
    images = RandomImages(seed, algorithm)
    subject = images.image(3)
    return [
        subject,
        images.index(4),
        images.index_of((images.index(2), subject)),
        images.cache(),
        images.artifact("application/x", subject.manifest, {"a": "b"}),
        *images.referrers(subject.manifest, ("application/y", "application/z")),
    ]


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert everything(5) == everything(5)
    assert [image.digest for image in everything(5)] != [image.digest for image in everything(6)]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_they_are_valid_and_their_digests_right(algorithm: str) -> None:
    for image in everything(1, algorithm):
        for one in image.all():
            for content in (one.manifest, *one.blobs):
                assert content.digest == digest_of(content.data, algorithm)
            found = parse_manifest(one.manifest.data, one.manifest.media_type)
            named = {child.digest for child in found.children} | {layer.digest for layer in found.layers}
            named |= {found.config.digest} if found.config else set()
            assert named == {content.digest for content in one.blobs} | {child.digest for child in one.children}


def test_all_comes_in_an_order_in_which_it_can_be_pushed() -> None:
    nested = everything(2)[2]
    seen: set[str] = set()
    for one in nested.all():
        assert {child.digest for child in one.children} <= seen
        seen.add(one.digest)
    assert nested.digest in seen


def test_a_layer_can_be_unpacked_and_its_config_knows_it() -> None:
    image = RandomImages(3).image(2, size=1000)
    config: dict[str, Any] = json.loads(image.blobs[0].data)
    for layer, diff_id in zip(image.blobs[1:], config["rootfs"]["diff_ids"], strict=True):
        raw = gzip.decompress(layer.data)
        assert digest_of(raw) == diff_id
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            assert [entry.size for entry in archive] == [1000]


def test_the_entries_of_an_index_have_their_platforms() -> None:
    document: dict[str, Any] = json.loads(RandomImages(4).index(4).manifest.data)
    found = [(entry["platform"]["architecture"], entry["platform"]["os"]) for entry in document["manifests"]]
    assert tuple(found) == PLATFORMS


def test_referrers_name_their_subject_and_type() -> None:
    images = RandomImages(4)
    subject = images.image().manifest
    for image, kind in zip(images.referrers(subject, ("a/b", "c/d")), ("a/b", "c/d"), strict=True):
        document: dict[str, Any] = json.loads(image.manifest.data)
        assert (document["subject"]["digest"], document["artifactType"]) == (subject.digest, kind)
