"""Section E of the suite: what a registry says about manifests that are not there or not right."""

from __future__ import annotations

import secrets

import pytest

from tests.conformance.content import Blob, DataSet
from tests.conformance.steps import ACCEPT_MANIFESTS, Place, check_blob_delete


def test_e_missing_by_digest(place: Place) -> None:
    target = place.manifest(Blob.random(1024).digest)
    assert place.registry.get(target, ACCEPT_MANIFESTS).expect(404).codes() == ["MANIFEST_UNKNOWN"]


def test_e_missing_by_tag(place: Place) -> None:
    target = place.manifest("missing-" + secrets.token_hex(10))
    assert place.registry.get(target, ACCEPT_MANIFESTS).expect(404).codes() == ["MANIFEST_UNKNOWN"]


@pytest.mark.parametrize("reference", [".INVALID_MANIFEST_NAME", "-x", "a" * 129, "a%20b", "a~b"])
def test_e_what_cannot_be_a_tag_is_not_there(place: Place, reference: str) -> None:
    """The suite of 2023 asks for such a name and wants 404; only a PUT of it is 400."""
    target = place.manifest(reference)
    assert place.registry.get(target, ACCEPT_MANIFESTS).expect(404).codes() == ["MANIFEST_UNKNOWN"]
    place.registry.head(target, ACCEPT_MANIFESTS).expect(404)


def test_e_digest_that_is_none(place: Place) -> None:
    data = DataSet("invalid-manifest-digest")
    manifest = data.image(layers=1)
    for digest, content in data.blobs.items():
        place.push(Blob(content, digest))
    assert place.put_manifest(manifest, "sha256:baddigeststring").expect(400).codes()
    place.registry.get(place.manifest("sha256:baddigeststring"), ACCEPT_MANIFESTS).expect(400, 404)
    place.registry.head(place.manifest(manifest.digest), ACCEPT_MANIFESTS).expect(404)
    place.registry.delete(place.manifest(manifest.digest)).expect(202, 404)
    for digest in data.blobs:
        check_blob_delete(place, digest)
