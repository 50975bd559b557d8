"""Sections A, B and C of the suite: ping, an empty repository, blobs in every way, for sha256 and sha512."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.conformance.client import Answer, with_query
from tests.conformance.content import OCI_INDEX, Blob
from tests.conformance.steps import (
    AS_OCTETS,
    WAYS,
    Place,
    check_blob_delete,
    check_blob_get,
    check_blob_head,
    check_digest,
    check_location,
    chunked,
    chunked_put,
    post_only,
    post_put,
    stream,
)

ALGORITHMS = ("sha256", "sha512")
STAGES = ("push", "location", "head", "get", "delete")
RANGES: dict[str, tuple[int, int] | None] = {
    "500-1499": (500, 1500),
    "500-": (500, 2048),
    "-500": (1548, 2048),
    "2000-5000": (2000, 2048),
    "500-0": None,
    "5000-10000": None,
}
BAD_DIGEST = {
    "post-only": post_only,
    "post-put": post_put,
    "chunked": chunked,
    "chunked-put": chunked_put,
    "stream": stream,
}


@dataclass
class Pushed:
    """A blob on its way through the stages; `answer` is that of the request which created it."""

    blob: Blob
    answer: Answer | None = None

    def created(self) -> Answer:
        assert self.answer is not None, "the push before this stage failed"
        return self.answer


@pytest.fixture(scope="module")
def pushed() -> dict[str, Pushed]:
    return {}


def test_a_ping(place: Place) -> None:
    place.registry.get("/v2/").expect(200)


def test_b_tags_of_an_empty_repository(place: Place) -> None:
    place.registry.get(f"/v2/{place.repo}/tags/list").expect(200, 404)


def test_b_referrers_of_an_empty_repository(place: Place) -> None:
    answer = place.registry.get(f"/v2/{place.repo}/referrers/{Blob.random(64).digest}").expect(200)
    assert answer.header("Content-Type") == OCI_INDEX
    assert answer.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_c1_a_blob_that_is_missing(place: Place, algorithm: str) -> None:
    place.registry.get(place.blob(Blob.random(512, algorithm).digest)).expect(404)


@pytest.mark.parametrize(
    ("algorithm", "name", "stage"),
    [
        pytest.param(algorithm, name, stage, id=f"{way.section}-{algorithm}-{name}-{stage}")
        for algorithm in ALGORITHMS
        for name, way in WAYS.items()
        for stage in (*STAGES, *(("delete-source",) if way.elsewhere else ()))
    ],
)
def test_c2_to_c13_blob(place: Place, pushed: dict[str, Pushed], algorithm: str, name: str, stage: str) -> None:
    way = WAYS[name]
    key = f"{algorithm} {name}"
    state = pushed.setdefault(key, Pushed(Blob.random(way.size, algorithm)))
    match stage:
        case "push":
            answer = way.push(place, state.blob).expect(201)
            answer.need("Location")
            state.answer = answer
            check_digest(answer, state.blob.digest, required=place.dev)
        case "location":
            check_location(place, state.created(), state.blob)
        case "head":
            state.created()
            check_blob_head(place, state.blob)
        case "get":
            state.created()
            check_blob_get(place, state.blob)
        case "delete":
            check_blob_delete(place, state.blob.digest)
            if way.elsewhere:
                check_blob_head(place, state.blob, place.other)
        case "delete-source":
            check_blob_delete(place, state.blob.digest, place.other)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_c9_cancel(place: Place, algorithm: str) -> None:
    blob = Blob.random(512, algorithm)
    location = place.patch(place.begin(), blob, 0, 512).expect(202).need("Location")
    place.registry.delete(location).expect(204)
    assert place.registry.get(location).expect(404).codes() == ["BLOB_UPLOAD_UNKNOWN"]
    assert place.finish(location, blob).expect(404).codes() == ["BLOB_UPLOAD_UNKNOWN"]
    place.registry.head(place.blob(blob.digest)).expect(404)


@pytest.fixture(scope="module", params=ALGORITHMS)
def ranged(request: pytest.FixtureRequest, place: Place) -> Blob:
    blob = Blob.random(2048, request.param)
    place.push(blob)
    return blob


@pytest.mark.parametrize("asked", RANGES)
def test_c14_range(place: Place, ranged: Blob, asked: str) -> None:
    expected = RANGES[asked]
    answer = place.registry.get(place.blob(ranged.digest), [("Range", f"bytes={asked}")])
    if expected is None:
        answer.expect(416)
        return
    start, stop = expected
    answer.expect(206)
    assert answer.body == ranged.data[start:stop]
    assert answer.header("Content-Length") == str(stop - start)
    assert answer.header("Content-Range") in {f"bytes {start}-{stop - 1}/{size}" for size in (2048, "*")}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("data", "way"),
    [
        pytest.param(b"", "post-put", id="empty-post-put"),
        pytest.param(b"", "stream", id="empty-stream"),
        pytest.param(b"{}", "post-put", id="json-post-put"),
        pytest.param(b"{}", "post-only", id="json-post-only"),
        pytest.param(b"{}", "chunked-single", id="json-chunked"),
        pytest.param(b"{}", "stream", id="json-stream"),
    ],
)
def test_c15_contents(place: Place, algorithm: str, data: bytes, way: str) -> None:
    blob = Blob.of(data, algorithm)
    answer = WAYS[way].push(place, blob).expect(201)
    check_digest(answer, blob.digest, required=place.dev)
    check_location(place, answer, blob)
    check_blob_head(place, blob)
    check_blob_get(place, blob)
    check_blob_delete(place, blob.digest)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("way", BAD_DIGEST)
def test_c16_bad_digest(place: Place, algorithm: str, way: str) -> None:
    right = Blob.random(3067, algorithm)
    spoiled = Blob(right.data + b"oh no", right.digest)
    assert BAD_DIGEST[way](place, spoiled).expect(400).codes() == ["DIGEST_INVALID"]
    place.registry.head(place.blob(right.digest)).expect(404)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_c13_a_refused_put_at_the_end_changes_nothing(place: Place, algorithm: str) -> None:
    """The wrong PUT comes when all bytes are there: it must neither append, commit nor end the session."""
    blob = Blob.random(2048, algorithm)
    location = place.patch(place.begin(), blob, 0, 2048).expect(202).need("Location")
    target = with_query(location, ("digest", blob.digest))
    wrong = [AS_OCTETS, ("Content-Range", "0-1023")]
    place.registry.send("PUT", target, wrong, body=blob.data[:1024]).expect(416)
    place.registry.head(place.blob(blob.digest)).expect(404)
    status = place.registry.get(target).expect(204)
    assert status.header("Range") == "0-2047"
    check_location(place, place.finish(status.need("Location"), blob).expect(201), blob)
    check_blob_delete(place, blob.digest)
