"""Manifests: what a registry must know is read right; what two clients could read in two ways is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.digest import digest_of
from moorage.core.errors import ManifestInvalid
from moorage.core.manifest import MAX_MEDIA_TYPE, parse_manifest
from moorage.core.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
)
from moorage.testing.random_images import RandomImages

IMAGE: dict[str, Any] = json.loads(RandomImages(1).image(2, annotations={"a": "b"}).manifest.data)
INDEX: dict[str, Any] = json.loads(RandomImages(1).index(2).manifest.data)


def parse(document: object, content_type: str = "") -> Any:
    return parse_manifest(json.dumps(document).encode(), content_type)


def changed(document: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy with one member set; `to` Ellipsis: taken out."""
    document = copy.deepcopy(document)
    owner: Any = document
    for step in path[:-1]:
        owner = owner[step]
    if to is ...:
        del owner[path[-1]]
    else:
        owner[path[-1]] = to
    return document


def test_an_image() -> None:
    found = parse(IMAGE, OCI_MANIFEST)
    assert (found.media_type, found.is_index, found.children, found.subject) == (OCI_MANIFEST, False, (), None)
    assert found.config.digest == IMAGE["config"]["digest"]
    assert [(layer.digest, layer.size) for layer in found.layers] == [
        (one["digest"], one["size"]) for one in IMAGE["layers"]
    ]
    assert found.artifact_type == IMAGE["config"]["mediaType"]
    assert found.annotations == {"a": "b"}


def test_an_index() -> None:
    found = parse(INDEX)
    assert (found.media_type, found.is_index, found.config, found.layers) == (OCI_INDEX, True, None, ())
    assert [child.platform for child in found.children] == [("amd64", "linux"), ("arm64", "linux")]
    assert found.artifact_type == ""


def test_an_artifact_that_refers_to_something() -> None:
    images = RandomImages(2)
    subject = images.image().manifest
    found: Any = parse_manifest(images.artifact("application/x", subject, {"k": "v"}).manifest.data, OCI_MANIFEST)
    assert found.subject.digest == subject.digest
    assert found.artifact_type == "application/x"
    assert found.annotations == {"k": "v"}


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_both_algorithms(digest: str) -> None:
    image = RandomImages(3, digest).image()
    found: Any = parse_manifest(image.manifest.data, OCI_MANIFEST)
    assert found.config.digest == image.blobs[0].digest


@pytest.mark.parametrize(
    ("own", "content_type", "media_type"),
    [
        (OCI_MANIFEST, OCI_MANIFEST, OCI_MANIFEST),
        (OCI_MANIFEST, "", OCI_MANIFEST),
        (OCI_MANIFEST, OCI_MANIFEST.upper(), OCI_MANIFEST),
        (OCI_MANIFEST, f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
        (OCI_MANIFEST, f" {OCI_MANIFEST} ", OCI_MANIFEST),
        (..., OCI_MANIFEST, OCI_MANIFEST),
        (..., DOCKER_MANIFEST, DOCKER_MANIFEST),
        (..., "", OCI_MANIFEST),
        (DOCKER_MANIFEST, "", DOCKER_MANIFEST),
        ("", OCI_MANIFEST, OCI_MANIFEST),
    ],
)
def test_the_type_of_an_image(own: object, content_type: str, media_type: str) -> None:
    assert parse(changed(IMAGE, "mediaType", to=own), content_type).media_type == media_type


@pytest.mark.parametrize(
    ("own", "content_type"),
    [(OCI_INDEX, OCI_INDEX), (DOCKER_LIST, ""), (..., DOCKER_LIST), (..., "")],
)
def test_the_type_of_an_index(own: object, content_type: str) -> None:
    assert parse(changed(INDEX, "mediaType", to=own), content_type).is_index


@pytest.mark.parametrize(
    ("own", "content_type"),
    [
        (OCI_MANIFEST, OCI_INDEX),
        (OCI_MANIFEST, DOCKER_MANIFEST),
        (OCI_MANIFEST, "application/json"),
        (OCI_MANIFEST, "*/*"),
        (..., "application/octet-stream"),
        (..., "text/plain; charset=utf-8"),
        (OCI_INDEX, OCI_MANIFEST),
        (OCI_INDEX, OCI_INDEX),
        (..., OCI_INDEX),
        ("application/vnd.unknown+json", OCI_MANIFEST),
        ("application/vnd.unknown+json", ""),
        (DOCKER_SCHEMA1, ""),
        (..., DOCKER_SCHEMA1_SIGNED),
        (OCI_ARTIFACT, OCI_ARTIFACT),
        (f"{OCI_MANIFEST}; charset=utf-8", ""),
        (5, ""),
        ("x" * (MAX_MEDIA_TYPE + 1), ""),
        ("a\nb", ""),
    ],
)
def test_a_type_that_does_not_fit(own: object, content_type: str) -> None:
    with pytest.raises(ManifestInvalid):
        parse(changed(IMAGE, "mediaType", to=own), content_type)


@pytest.mark.parametrize("value", [[], None, INDEX["manifests"], {}])
def test_an_image_that_is_also_an_index(value: object) -> None:
    """CVE-2021-41190: whoever signs one of the two vouches for the other."""
    for own in (OCI_MANIFEST, ...):
        with pytest.raises(ManifestInvalid, match="must not have"):
            parse(changed(changed(IMAGE, "mediaType", to=own), "manifests", to=value), OCI_MANIFEST)
    for member in ("config", "layers"):
        with pytest.raises(ManifestInvalid, match="must not have"):
            parse(changed(INDEX, member, to=value), OCI_INDEX)


def test_one_that_is_both_and_says_nothing() -> None:
    with pytest.raises(ManifestInvalid):
        parse(changed(IMAGE | INDEX, "mediaType", to=...))


LOOK_ALIKES = [
    (IMAGE, ("Layers",)),
    (IMAGE, ("LAYERS",)),
    (IMAGE, ("layer\u017f",)),
    (IMAGE, ("Config",)),
    (IMAGE, ("Subject",)),
    (IMAGE, ("mediatype",)),
    (IMAGE, ("Manifests",)),
    (IMAGE, ("schemaversion",)),
    (IMAGE, ("ArtifactType",)),
    (IMAGE, ("config", "Digest")),
    (IMAGE, ("config", "dige\u017ft")),
    (IMAGE, ("layers", 1, "URLs")),
    (IMAGE, ("layers", 0, "Size")),
    (INDEX, ("Manifests",)),
    (INDEX, ("manifests", 1, "DIGEST")),
    (INDEX, ("manifests", 1, "Platform")),
    (INDEX, ("manifests", 1, "platform", "OS")),
    (INDEX, ("manifests", 1, "platform", "Architecture")),
    (INDEX, ("manifests", 1, "platform", "Variant")),
    (INDEX, ("manifests", 1, "platform", "OS.Version")),
    (INDEX, ("manifests", 1, "platform", "OS.Features")),
    (INDEX, ("manifests", 1, "platform", "Features")),
    (INDEX, ("manifests", 1, "Annotations")),
    (INDEX, ("manifests", 1, "artifacttype")),
    (IMAGE, ("config", "Data")),
    (IMAGE, ("layers", 0, "Annotations")),
    (IMAGE, ("layers", 0, "ArtifactType")),
]


@pytest.mark.parametrize(
    ("document", "path"), LOOK_ALIKES, ids=[str(path[-1]) + str(len(path)) for _, path in LOOK_ALIKES]
)
def test_a_member_in_another_case(document: dict[str, Any], path: tuple[Any, ...]) -> None:
    """Docker and containerd would see it, we would not: garbage collection would take what it names."""
    with pytest.raises(ManifestInvalid, match="must be written"):
        parse(changed(document, *path, to="anything"))


@pytest.mark.parametrize("version", [1, 3, 0, "2", 2.0, 2.5, True, None, [2], ..., 10**400])
def test_only_version_2(version: object) -> None:
    with pytest.raises(ManifestInvalid):
        parse(changed(IMAGE, "schemaVersion", to=version))


def test_true_is_no_version_one() -> None:
    with pytest.raises(ManifestInvalid, match="schemaVersion"):
        parse(changed(IMAGE, "schemaVersion", to=True))


@pytest.mark.parametrize("size", [-1, "5", 5.0, 1e3, True, None, ..., 2**63, 10**4000])
def test_a_size_is_a_whole_number_of_bytes(size: object) -> None:
    for document, path in ((IMAGE, ("layers", 0, "size")), (INDEX, ("manifests", 0, "size"))):
        with pytest.raises(ManifestInvalid):
            parse(changed(document, *path, to=size))


@pytest.mark.parametrize("size", [0, 2**63 - 1])
def test_sizes_at_the_ends(size: int) -> None:
    assert parse(changed(IMAGE, "layers", 0, "size", to=size)).layers[0].size == size


@pytest.mark.parametrize(
    "digest", ["", "x", "sha256:", None, ..., 5, "sha256:" + "G" * 64, digest_of(b"") + "\n", "latest"]
)
def test_a_digest_is_a_digest(digest: object) -> None:
    for path in (("config", "digest"), ("layers", 1, "digest")):
        with pytest.raises(ManifestInvalid):
            parse(changed(IMAGE, *path, to=digest))
    subject = IMAGE["config"] | ({} if digest is ... else {"digest": digest})
    if digest is ...:
        del subject["digest"]
    with pytest.raises(ManifestInvalid):
        parse(changed(IMAGE, "subject", to=subject))


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        (IMAGE, ("config",), ...),
        (IMAGE, ("config",), None),
        (IMAGE, ("config",), []),
        (IMAGE, ("config",), "x"),
        (IMAGE, ("layers",), {}),
        (IMAGE, ("layers",), "x"),
        (IMAGE, ("layers",), [None]),
        (IMAGE, ("layers",), [[]]),
        (IMAGE, ("subject",), []),
        (IMAGE, ("subject",), {}),
        (IMAGE, ("annotations",), []),
        (IMAGE, ("annotations",), {"a": 1}),
        (IMAGE, ("annotations",), {"a": None}),
        (IMAGE, ("artifactType",), 5),
        (IMAGE, ("artifactType",), "a" * 256),
        (IMAGE, ("artifactType",), "a\r\nset-cookie: b"),
        (IMAGE, ("layers", 0, "urls"), "http://a"),
        (IMAGE, ("layers", 0, "urls"), [5]),
        (IMAGE, ("layers", 0, "mediaType"), 5),
        (INDEX, ("manifests",), ...),
        (INDEX, ("manifests",), {}),
        (INDEX, ("manifests", 0, "platform"), "linux"),
        (INDEX, ("manifests", 0, "platform"), {"os": 5}),
    ],
)
def test_members_of_the_wrong_kind(document: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    with pytest.raises(ManifestInvalid):
        parse(changed(document, *path, to=value), document["mediaType"])


def test_what_go_writes_for_nothing_is_nothing() -> None:
    assert parse(changed(IMAGE, "layers", to=None)).layers == ()
    assert parse(changed(IMAGE, "layers", to=...)).layers == ()
    assert parse(changed(INDEX, "manifests", to=None), OCI_INDEX).children == ()
    assert parse(changed(IMAGE, "subject", to=None)).subject is None
    assert parse(changed(IMAGE, "annotations", to=None)).annotations == {}
    assert parse(changed(IMAGE, "layers", 0, "urls", to=None)).layers[0].urls == ()


def test_members_that_nobody_knows_are_let_be() -> None:
    document = changed(changed(IMAGE, "x-own", to=[{"a": 1}]), "config", "data", to="e30=")
    assert parse(document).config.digest == IMAGE["config"]["digest"]


def test_foreign_addresses_are_kept() -> None:
    assert parse(changed(IMAGE, "layers", 0, "urls", to=["https://a/b"])).layers[0].urls == ("https://a/b",)


LEAVES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
)
PATHS = st.sampled_from(
    [("config",), ("layers",), ("layers", 0), ("layers", 0, "digest"), ("config", "size"), ("mediaType",),
     ("schemaVersion",), ("subject",), ("annotations",), ("artifactType",), ("manifests",), ("layers", 1, "urls"),
     ("layers", 1, "platform")],
)  # fmt: skip


@given(PATHS, LEAVES, st.sampled_from(["", OCI_MANIFEST, OCI_INDEX, DOCKER_LIST, "a/b"]))
def test_anything_anywhere_is_read_or_refused(path: tuple[Any, ...], value: object, content_type: str) -> None:
    try:
        found = parse(changed(IMAGE, *path, to=value), content_type)
    except ManifestInvalid:
        return  # and nothing else is ever raised
    assert found.config is not None
