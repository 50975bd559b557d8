"""Section D of the suite: each data set is pushed, listed, asked for, pulled, found by subject, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.client import Answer, query
from tests.conformance.content import OCI_INDEX, Blob, DataSet, Descriptor, Manifest, build, names
from tests.conformance.steps import (
    ACCEPT_MANIFESTS,
    WAYS,
    Place,
    check_blob_delete,
    check_blob_get,
    check_blob_head,
    check_location,
    check_manifest,
    check_manifest_put,
)

REFERRING = ("artifacts-with-subject", "index-with-subject", "missing-subject")


@pytest.fixture(scope="module")
def sets() -> dict[str, DataSet]:
    return {}


def by_digest(data: DataSet, digest: str) -> Manifest:
    return next(manifest for manifest in data.manifests if manifest.digest == digest)


def push_blobs(place: Place, data: DataSet) -> None:
    """Each blob in another way, so that what follows meets blobs of all ways."""
    ways = [WAYS[name] for name in ("post-put", "post-only", "stream", "chunked-multi")]
    for number, (digest, content) in enumerate(data.blobs.items()):
        blob = Blob(content, digest)
        way = ways[number % len(ways)] if content else ways[0]
        answer = way.push(place, blob)
        if answer.status == 202:  # C.2 fails where one POST is not enough; this section is about what follows
            answer = place.finish(answer.need("Location"), blob, body=content)
        check_location(place, answer.expect(201), blob)


def push_manifests(place: Place, data: DataSet) -> None:
    for manifest in data.manifests:
        if data.by_parameter:
            tags = tuple(tag for tag, digest in data.tags.items() if digest == manifest.digest)
            answer = place.put_manifest(manifest, manifest.digest, tags=tags)
            check_manifest_put(place, answer, manifest)
            assert set(tags) <= set(listed(answer, "OCI-Tag")), f"{tags}, but {answer.headers}"
        else:
            check_manifest_put(place, place.put_manifest(manifest, manifest.digest), manifest)


def push_tags(place: Place, data: DataSet) -> None:
    if data.by_parameter:
        return
    for tag, digest in data.tags.items():
        manifest = by_digest(data, digest)
        check_manifest_put(place, place.put_manifest(manifest, tag), manifest)


def tag_list(place: Place, data: DataSet) -> None:
    assert set(data.tags) <= set(tags_of(place))


def tag_list_last(place: Place, data: DataSet) -> None:
    """Nothing at or before `last`, everything behind it, in the order of bytes."""
    tags = sorted(tags_of(place), key=str.encode)
    for last in (tags[len(tags) // 2 - 1], tags[0], tags[-1]) if tags else ("nothing",):
        assert tags_of(place, f"?last={last}") == [tag for tag in tags if tag.encode() > last.encode()]


def head_manifests(place: Place, data: DataSet) -> None:
    for reference, manifest in references(data):
        answer = place.registry.head(place.manifest(reference), ACCEPT_MANIFESTS)
        check_manifest(place, answer, manifest)


def head_blobs(place: Place, data: DataSet) -> None:
    for digest, content in data.blobs.items():
        check_blob_head(place, Blob(content, digest))


def pull_manifests(place: Place, data: DataSet) -> None:
    for reference, manifest in references(data):
        answer = place.registry.get(place.manifest(reference), ACCEPT_MANIFESTS)
        check_manifest(place, answer, manifest)


def pull_blobs(place: Place, data: DataSet) -> None:
    for digest, content in data.blobs.items():
        check_blob_get(place, Blob(content, digest))


def referrers(place: Place, data: DataSet) -> None:
    for subject, expected in data.referrers.items():
        assert sort(referrers_of(place, subject)) == sort(expected)


def referrers_filtered(place: Place, data: DataSet) -> None:
    for subject, expected in data.referrers.items():
        for kind in {descriptor.get("artifactType") for descriptor in expected} - {None}:
            answer = place.registry.send("GET", f"/v2/{place.repo}/referrers/{subject}" + query(artifactType=str(kind)))
            assert "artifactType" in listed(answer, "OCI-Filters-Applied")
            wanted = [descriptor for descriptor in expected if descriptor.get("artifactType") == kind]
            assert sort(manifests_of(answer)) == sort(wanted)


def delete_tags(place: Place, data: DataSet) -> None:
    for tag, digest in data.tags.items():
        place.registry.delete(place.manifest(tag)).expect(202, 404)
        place.registry.head(place.manifest(tag)).expect(404)
        place.registry.head(place.manifest(digest), ACCEPT_MANIFESTS).expect(200)


def delete_manifests(place: Place, data: DataSet) -> None:
    for manifest in reversed(data.manifests):
        place.registry.delete(place.manifest(manifest.digest)).expect(202, 404)
        place.registry.head(place.manifest(manifest.digest)).expect(404)


def delete_blobs(place: Place, data: DataSet) -> None:
    for digest in data.blobs:
        check_blob_delete(place, digest)


def referrers_gone(place: Place, data: DataSet) -> None:
    """What was deleted is in no list any more."""
    for subject in data.referrers:
        assert referrers_of(place, subject) == []


def put_spoiled(place: Place, data: DataSet) -> None:
    for manifest in data.manifests:
        answer = place.put_manifest(manifest, manifest.digest).expect(400)
        assert answer.codes() in (["DIGEST_INVALID"], ["MANIFEST_INVALID"])
        place.registry.get(place.manifest(manifest.digest)).expect(404)


Step = Callable[[Place, DataSet], None]
USUAL: tuple[Step, ...] = (
    push_blobs,
    push_manifests,
    push_tags,
    tag_list,
    tag_list_last,
    head_manifests,
    head_blobs,
    pull_manifests,
    pull_blobs,
)
SEARCH: tuple[Step, ...] = (referrers, referrers_filtered)
DELETE: tuple[Step, ...] = (delete_tags, delete_manifests, delete_blobs)
SPOILED: tuple[Step, ...] = (push_blobs, put_spoiled, head_blobs, pull_blobs, delete_blobs)


def steps_of(name: str) -> tuple[Step, ...]:
    """Return the steps that make sense for a data set, in order."""
    if name == "bad-digest-image":
        return SPOILED
    if name in REFERRING:
        return (*USUAL, *SEARCH, *DELETE, referrers_gone)
    return (*USUAL, *DELETE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "step" not in metafunc.fixturenames:
        return
    option = metafunc.config.getoption
    chosen = names(dev=option("--spec") == "dev", with_sparse=option("--sparse"))
    pairs = [(name, step) for name in chosen for step in steps_of(name)]
    metafunc.parametrize(("name", "step"), pairs, ids=[f"{name}-{step.__name__}" for name, step in pairs])


def test_d(place: Place, sets: dict[str, DataSet], name: str, step: Step) -> None:
    data = sets.get(name) or sets.setdefault(name, build(name))
    step(place, data)


def references(data: DataSet) -> list[tuple[str, Manifest]]:
    """Return each tag and each digest with the manifest that it names."""
    tagged = [(tag, by_digest(data, digest)) for tag, digest in data.tags.items()]
    return [*tagged, *((manifest.digest, manifest) for manifest in data.manifests)]


def tags_of(place: Place, more: str = "") -> list[str]:
    """Return the tags of one page; a repository that nobody pushed to has none."""
    answer = place.registry.get(f"/v2/{place.repo}/tags/list{more}").expect(200, 404)
    if answer.status == 404:
        return []
    found: dict[str, Any] = answer.json()
    assert found["name"] == place.repo
    tags: list[str] = found["tags"]
    assert isinstance(tags, list), found
    return tags


def referrers_of(place: Place, subject: str) -> list[Descriptor]:
    """Return the manifests of one referrers page."""
    return manifests_of(place.registry.get(f"/v2/{place.repo}/referrers/{subject}"))


def manifests_of(answer: Answer) -> list[Descriptor]:
    """Return the manifests of an answer that has to be an index."""
    answer.expect(200)
    assert answer.header("Content-Type") == OCI_INDEX
    found: dict[str, Any] = answer.json()
    assert found["schemaVersion"] == 2
    assert found["mediaType"] == OCI_INDEX
    manifests: list[Descriptor] = found["manifests"]
    assert isinstance(manifests, list), found
    return manifests


def listed(answer: Answer, name: str) -> list[str]:
    """Return the values of a header that may come as several lines or as a list with commas."""
    return [value.strip() for line in answer.values(name) for value in line.split(",")]


def sort(descriptors: list[Descriptor]) -> list[Descriptor]:
    """Return descriptors in an order that does not depend on the registry."""
    return sorted(descriptors, key=lambda descriptor: str(descriptor["digest"]))
