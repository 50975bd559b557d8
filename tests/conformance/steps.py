"""The ways of pushing a blob (section C) and what has to hold afterwards, for the tests of all sections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from tests.conformance.client import Answer, Registry, query, with_query
from tests.conformance.content import OCI_IMAGE, OCI_INDEX, OCTETS, Blob, Manifest

CHUNK = 1024
AS_OCTETS = ("Content-Type", OCTETS)
ACCEPT_MANIFESTS = (("Accept", OCI_INDEX), ("Accept", OCI_IMAGE))


@dataclass(frozen=True)
class Place:
    """Where a suite run works.

    dev: the rules of the next version of the specification hold: digest headers are required.
    sparse: the registry was told to accept manifests whose content is absent.
    """

    registry: Registry
    repo: str
    other: str
    dev: bool
    sparse: bool

    def uploads(self, repo: str | None = None, **parameters: str) -> str:
        """Return the path that starts an upload."""
        start = f"/v2/{repo or self.repo}/blobs/uploads/"
        return start + (query(**parameters) if parameters else "")

    def blob(self, digest: str, repo: str | None = None) -> str:
        """Return the path of a blob."""
        return f"/v2/{repo or self.repo}/blobs/{digest}"

    def manifest(self, reference: str, repo: str | None = None) -> str:
        """Return the path of a manifest."""
        return f"/v2/{repo or self.repo}/manifests/{reference}"

    def begin(self, repo: str | None = None) -> str:
        """Start an upload and return its location."""
        return self.registry.send("POST", self.uploads(repo)).expect(202).need("Location")

    def patch(self, location: str, blob: Blob, start: int, stop: int) -> Answer:
        """Send one chunk with its Content-Range."""
        return self.registry.send("PATCH", location, chunk_headers(start, stop), body=blob.data[start:stop])

    def finish(self, location: str, blob: Blob, *, body: bytes = b"") -> Answer:
        """Send the PUT that ends an upload."""
        return self.registry.send("PUT", with_query(location, ("digest", blob.digest)), [AS_OCTETS], body=body)

    def push(self, blob: Blob, repo: str | None = None) -> Answer:
        """Push a blob with POST and PUT."""
        return self.finish(self.begin(repo), blob, body=blob.data).expect(201)

    def put_manifest(
        self, manifest: Manifest, reference: str, *, repo: str | None = None, tags: tuple[str, ...] = ()
    ) -> Answer:
        """Push a manifest, without a Content-Length, as Go's suite does."""
        target = with_query(self.manifest(reference, repo), *(("tag", tag) for tag in tags))
        return self.registry.send(
            "PUT", target, [("Content-Type", manifest.media_type)], body=manifest.body, chunked=True
        )


def chunk_headers(start: int, stop: int) -> list[tuple[str, str]]:
    """Return the headers of a chunk of an upload, `stop` being the first byte after it."""
    return [AS_OCTETS, ("Content-Range", f"{start}-{stop - 1}")]


def chunks(blob: Blob) -> list[tuple[int, int]]:
    """Return where each chunk of a blob starts and stops."""
    edges = [*range(0, len(blob.data), CHUNK), len(blob.data)]
    return list(pairwise(edges))


def check_digest(answer: Answer, digest: str, *, required: bool) -> None:
    """Check that `Docker-Content-Digest` says what the client asked for, where it is there or has to be."""
    found = answer.header("Docker-Content-Digest")
    if found is not None or required:
        assert found == digest, f"{answer.method} {answer.url}: Docker-Content-Digest {found!r}, not {digest}"


def post_only(place: Place, blob: Blob) -> Answer:
    """C.2: one POST with the whole blob; 202 means that the registry cannot do it."""
    target = place.uploads(digest=blob.digest)
    return place.registry.send("POST", target, [AS_OCTETS], body=blob.data)


def post_put(place: Place, blob: Blob) -> Answer:
    """C.3: POST, then PUT with the whole blob."""
    return place.finish(place.begin(), blob, body=blob.data)


def chunked(place: Place, blob: Blob, *, put_last: bool = False) -> Answer:
    """C.4, C.10, C.11: POST, PATCH for each chunk (the last one may be in the PUT), PUT."""
    location = place.begin()
    pieces = chunks(blob)
    last = pieces.pop() if put_last else None
    for start, stop in pieces:
        location = place.patch(location, blob, start, stop).expect(202).need("Location")
    if last is None:
        return place.finish(location, blob)
    target = with_query(location, ("digest", blob.digest))
    return place.registry.send("PUT", target, chunk_headers(*last), body=blob.data[last[0] : last[1]])


def chunked_put(place: Place, blob: Blob) -> Answer:
    """C.11: the last chunk travels in the PUT."""
    return chunked(place, blob, put_last=True)


def stream(place: Place, blob: Blob) -> Answer:
    """C.5: POST, one PATCH of unknown length, PUT."""
    location = place.begin()
    answer = place.registry.send("PATCH", location, [AS_OCTETS], body=blob.data, chunked=True)
    return place.finish(answer.expect(202).need("Location"), blob)


def mount(place: Place, blob: Blob) -> Answer:
    """C.6: the blob is in the other repository and is mounted from it; 202 means that it was not."""
    place.push(blob, place.other)
    target = place.uploads(mount=blob.digest) + "&from=" + place.other
    return place.registry.send("POST", target)


def mount_anonymous(place: Place, blob: Blob) -> Answer:
    """C.7: the same without saying where the blob is."""
    place.push(blob, place.other)
    return place.registry.send("POST", place.uploads(mount=blob.digest))


def mount_missing(place: Place, blob: Blob) -> Answer:
    """C.8: nobody has the blob, so the answer has to be an upload session that works."""
    target = place.uploads(mount=blob.digest) + "&from=" + place.other
    answer = place.registry.send("POST", target).expect(202)
    return place.finish(answer.need("Location"), blob, body=blob.data)


def out_of_order(place: Place, blob: Blob, *, put_last: bool = False) -> Answer:
    """C.12, C.13: before each good chunk a wrong one, which is refused and changes nothing."""
    location = place.begin()
    pieces = chunks(blob)
    for number, (start, stop) in enumerate(pieces):
        wrong = pieces[number + 1] if number + 1 < len(pieces) else pieces[0]
        as_put = put_last and wrong[1] == len(blob.data)
        location = refused(place, location, blob, wrong, as_put=as_put, had=start)
        if put_last and stop == len(blob.data):
            target = with_query(location, ("digest", blob.digest))
            return place.registry.send("PUT", target, chunk_headers(start, stop), body=blob.data[start:stop])
        location = place.patch(location, blob, start, stop).expect(202).need("Location")
    return place.finish(location, blob)


def out_of_order_put(place: Place, blob: Blob) -> Answer:
    """C.13: chunks in a wrong order, wrong and right last ones in a PUT."""
    return out_of_order(place, blob, put_last=True)


def refused(place: Place, location: str, blob: Blob, wrong: tuple[int, int], *, as_put: bool, had: int) -> str:
    """Send a chunk that does not follow; return the location that the status then gives."""
    target = with_query(location, ("digest", blob.digest)) if as_put else location
    place.registry.send(
        "PUT" if as_put else "PATCH", target, chunk_headers(*wrong), body=blob.data[wrong[0] : wrong[1]]
    ).expect(416)
    status = place.registry.get(target).expect(204)
    reached = status.need("Range")
    prefix, _, last = reached.partition("-")
    assert prefix == "0", f"Range {reached!r} of an upload's status"
    assert int(last) >= -1, reached
    if had:
        assert reached == f"0-{had - 1}", f"Range {reached!r} after {had} bytes"
    return status.need("Location")


@dataclass(frozen=True)
class Way:
    """A way of pushing: its number in section C, its function, a size, and if both repositories get it."""

    section: str
    push: Callable[[Place, Blob], Answer]
    size: int
    elsewhere: bool = False


WAYS = {
    "post-only": Way("C.2", post_only, 512),
    "post-put": Way("C.3", post_put, 512),
    "chunked-single": Way("C.4", chunked, 512),
    "stream": Way("C.5", stream, 512),
    "mount": Way("C.6", mount, 512, elsewhere=True),
    "mount-anonymous": Way("C.7", mount_anonymous, 512, elsewhere=True),
    "mount-missing": Way("C.8", mount_missing, 512),
    "chunked-multi": Way("C.10", chunked, 3067),
    "chunked-multi-put": Way("C.11", chunked_put, 3067),
    "out-of-order": Way("C.12", out_of_order, 3067),
    "out-of-order-put": Way("C.13", out_of_order_put, 3067),
}


def check_location(place: Place, answer: Answer, blob: Blob) -> None:
    """Check that the Location of a 201 leads to the blob."""
    found = place.registry.get(answer.need("Location")).expect(200)
    assert found.body == blob.data


def check_blob_head(place: Place, blob: Blob, repo: str | None = None) -> None:
    """Check what HEAD says of a blob that is there."""
    answer = place.registry.head(place.blob(blob.digest, repo)).expect(200)
    assert answer.body == b""
    assert answer.header("Content-Length") == str(len(blob.data))
    check_digest(answer, blob.digest, required=place.dev)


def check_blob_get(place: Place, blob: Blob, repo: str | None = None) -> None:
    """Check that GET returns a blob as it was pushed."""
    answer = place.registry.get(place.blob(blob.digest, repo)).expect(200)
    assert answer.header("Content-Length") == str(len(blob.data))
    assert answer.body == blob.data
    check_digest(answer, blob.digest, required=place.dev)


def check_blob_delete(place: Place, digest: str, repo: str | None = None) -> None:
    """Delete a blob and check that it is gone at once."""
    place.registry.delete(place.blob(digest, repo)).expect(202, 404)
    place.registry.head(place.blob(digest, repo)).expect(404)


def check_manifest(place: Place, answer: Answer, manifest: Manifest) -> None:
    """Check the answer to a GET or HEAD of a manifest: 200, type, length, bytes, digest."""
    answer.expect(200)
    assert answer.header("Content-Type") == manifest.media_type
    assert answer.header("Content-Length") == str(len(manifest.body))
    assert answer.body == (b"" if answer.method == "HEAD" else manifest.body)
    check_digest(answer, manifest.digest, required=place.dev)


def check_manifest_put(place: Place, answer: Answer, manifest: Manifest) -> None:
    """Check the answer to the PUT of a manifest and follow its Location."""
    answer.expect(201)
    check_digest(answer, manifest.digest, required=place.dev)
    if manifest.subject:
        assert answer.header("OCI-Subject") == manifest.subject
    found = place.registry.get(answer.need("Location"), ACCEPT_MANIFESTS)
    check_manifest(place, found, manifest)
