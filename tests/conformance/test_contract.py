"""The contract that all clients together force on a registry: rules C9 to C22, those that need no login.

The numbers are those of the contract table; each test says which clients break without the rule.
"""

from __future__ import annotations

import re
import time
from email import message_from_bytes
from email.policy import HTTP

import pytest

from tests.conformance.client import Answer, query, with_query
from tests.conformance.content import OCI_INDEX, Blob, DataSet, Manifest
from tests.conformance.steps import AS_OCTETS, Place, chunk_headers

UPLOAD_PATH = re.compile(r"/v2/([a-z0-9/._-]+)/blobs/uploads/[A-Za-z0-9._~=-]+")
MEBI = 1024 * 1024


def pushed_image(place: Place, tag: str = "v1") -> tuple[Manifest, list[Blob]]:
    """Push an image under a tag and return it."""
    data = DataSet("contract")
    manifest = data.image(tag)
    blobs = [Blob(content, digest) for digest, content in data.blobs.items()]
    for blob in blobs:
        place.push(blob)
    place.put_manifest(manifest, tag).expect(201)
    return manifest, blobs


# C9: HEAD has the headers of GET. moby Stat, containerd resolve, oras, ggcr


def test_c9_head_has_the_headers_of_get(fresh: Place) -> None:
    manifest, blobs = pushed_image(fresh)
    nothing = Blob.of(b"")
    fresh.push(nothing)
    targets = [
        (fresh.manifest("v1"), manifest.digest, len(manifest.body)),
        (fresh.manifest(manifest.digest), manifest.digest, len(manifest.body)),
        (fresh.blob(blobs[0].digest), blobs[0].digest, len(blobs[0].data)),
        (fresh.blob(nothing.digest), nothing.digest, 0),
    ]
    for target, digest, length in targets:
        got = fresh.registry.get(target).expect(200)
        head = fresh.registry.head(target).expect(200)
        assert head.body == b""
        for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Accept-Ranges"):
            assert head.values(name) == got.values(name), name
        assert head.header("Content-Length") == str(length)
        assert head.header("Docker-Content-Digest") == digest
        assert head.need("Content-Type")


@pytest.mark.parametrize("what", ["manifest", "blob", "missing-manifest", "missing-blob", "ping"])
def test_c9_head_sends_no_body(fresh: Place, what: str) -> None:
    """Seen on the bare connection, where a client library would hide it."""
    _, blobs = pushed_image(fresh)
    target = {
        "manifest": fresh.manifest("v1"),
        "blob": fresh.blob(blobs[0].digest),
        "missing-manifest": fresh.manifest("absent"),
        "missing-blob": fresh.blob(Blob.random(9).digest),
        "ping": "/v2/",
    }[what]
    request = f"HEAD {target} HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n"
    head, _, rest = fresh.registry.raw(request.encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404" if what.startswith("missing") else b"HTTP/1.1 200")
    assert rest == b""


# C10: never compressed, never chunked. Go's client asks for gzip by itself, containerd for zstd


@pytest.mark.parametrize(
    "encoding", ["gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "br", "*", "identity;q=0, *", None]
)
def test_c10_never_compressed(fresh: Place, encoding: str | None) -> None:
    data = DataSet("compressible")
    manifest = data.image("v1", more={"annotations": {"a": "A" * 50_000}})
    for digest, content in data.blobs.items():
        fresh.push(Blob(content, digest))
    fresh.put_manifest(manifest, "v1").expect(201)
    blob = Blob.of(b"A" * 200_000)
    fresh.push(blob)
    for target, body in ((fresh.manifest("v1"), manifest.body), (fresh.blob(blob.digest), blob.data)):
        for method in ("GET", "HEAD"):
            answer = fresh.registry.send(method, target, encoding=encoding).expect(200)
            assert answer.header("Content-Length") == str(len(body))
            assert answer.header("Content-Encoding") is None
            assert answer.header("Transfer-Encoding") is None
            assert answer.body == (body if method == "GET" else b"")
    part = fresh.registry.send("GET", fresh.blob(blob.digest), [("Range", "bytes=10-19")], encoding=encoding).expect(
        206
    )
    assert part.body == blob.data[10:20]
    assert part.header("Content-Encoding") is None


# C11: the digest that the client computed. moby fails the push without it


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_c11_digest_of_a_manifest(fresh: Place, algorithm: str) -> None:
    data = DataSet("contract", algorithm)
    manifest = data.image()
    for digest, content in data.blobs.items():
        fresh.push(Blob(content, digest))
    answers = [fresh.put_manifest(manifest, manifest.digest, tags=("by-parameter",)).expect(201)]
    references = [manifest.digest, "by-parameter"]
    if algorithm == "sha256":
        answers.append(fresh.put_manifest(manifest, "by-tag").expect(201))
        references.append("by-tag")
    for reference in references:
        answers.append(fresh.registry.get(fresh.manifest(reference)).expect(200))
        answers.append(fresh.registry.head(fresh.manifest(reference)).expect(200))
    assert {answer.header("Docker-Content-Digest") for answer in answers} == {manifest.digest}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_c11_digest_of_a_blob(fresh: Place, algorithm: str) -> None:
    blob = Blob.random(4000, algorithm)
    answers = [
        fresh.push(blob),
        fresh.registry.get(fresh.blob(blob.digest)).expect(200),
        fresh.registry.head(fresh.blob(blob.digest)).expect(200),
        fresh.registry.get(fresh.blob(blob.digest), [("Range", "bytes=1-2")]).expect(206),
        fresh.registry.send("POST", fresh.uploads(fresh.other, mount=blob.digest) + "&from=" + fresh.repo).expect(201),
    ]
    assert {answer.header("Docker-Content-Digest") for answer in answers} == {blob.digest}


# C12: Location is relative and plain. containerd, everything behind a TLS proxy, ggcr


def test_c12_location_of_an_upload(fresh: Place) -> None:
    blob = Blob.random(600)
    spoofed = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "elsewhere.example")]
    for name in (fresh.repo, "a", "a/b/c/d/e", "with.dots/and_unders/and-dashes__x"):
        started = fresh.registry.send("POST", fresh.uploads(name), spoofed).expect(202)
        first = plain_upload(started, name)
        second = plain_upload(fresh.patch(first, blob, 0, 300).expect(202), name)
        third = plain_upload(fresh.registry.get(second).expect(204), name)
        refused = fresh.patch(third, blob, 500, 600).expect(416)
        if refused.header("Location"):
            third = plain_upload(refused, name)
        done = fresh.registry.send(
            "PUT", with_query(third, ("digest", blob.digest)), chunk_headers(300, 600), body=blob.data[300:]
        ).expect(201)
        assert done.header("Location") == f"/v2/{name}/blobs/{blob.digest}"


def plain_upload(answer: Answer, name: str) -> str:
    """Return the Location after checking that every client can follow it."""
    location = answer.need("Location")
    path, _, state = location.partition("?")
    found = UPLOAD_PATH.fullmatch(path)
    assert found, location
    assert found[1] == name, location
    assert "#" not in state, location
    return location


def test_c12_location_of_what_was_made(fresh: Place) -> None:
    manifest, blobs = pushed_image(fresh)
    by_tag = fresh.put_manifest(manifest, "v2").expect(201)
    by_digest = fresh.put_manifest(manifest, manifest.digest).expect(201)
    for answer in (by_tag, by_digest):
        assert answer.need("Location").startswith(f"/v2/{fresh.repo}/manifests/")
    target = fresh.uploads(fresh.other, mount=blobs[0].digest) + "&from=" + fresh.repo
    mounted = fresh.registry.send("POST", target).expect(201)
    assert mounted.header("Location") == f"/v2/{fresh.other}/blobs/{blobs[0].digest}"


# C13: Range of an upload. docker parses it with "%d-%d" and wants end >= start


def test_c13_range_of_an_upload(fresh: Place) -> None:
    blob = Blob.random(1000)
    started = fresh.registry.send("POST", fresh.uploads()).expect(202)
    assert re.fullmatch(r"0-[0-9]+", started.need("Range"))
    patched = fresh.patch(started.need("Location"), blob, 0, 400).expect(202)
    assert patched.header("Range") == "0-399"
    status = fresh.registry.get(patched.need("Location")).expect(204)
    assert status.header("Range") == "0-399"
    refused = fresh.patch(status.need("Location"), blob, 500, 1000).expect(416)
    assert refused.header("Range") == "0-399"
    again = fresh.patch(status.need("Location"), blob, 400, 1000).expect(202)
    assert again.header("Range") == "0-999"
    fresh.finish(again.need("Location"), blob).expect(201)


def test_c13_range_after_a_stream(fresh: Place) -> None:
    blob = Blob.random(70_000)
    answer = fresh.registry.send("PATCH", fresh.begin(), [AS_OCTETS], body=blob.data, chunked=True)
    assert answer.expect(202).header("Range") == "0-69999"


# C15: referrers. containerd, ggcr and cosign read the first page only; cosign takes the last entry


def test_c15_referrers_on_one_page_newest_last(fresh: Place) -> None:
    data = DataSet("contract")
    subject = data.image("v1").descriptor
    for number in range(40):
        more = {"subject": subject, "annotations": {"number": str(number)}}
        data.artifact(layer=b"{}", more=more)
    for digest, content in data.blobs.items():
        fresh.push(Blob(content, digest))
    for manifest in data.manifests:
        fresh.put_manifest(manifest, manifest.digest).expect(201)
    answer = fresh.registry.get(f"/v2/{fresh.repo}/referrers/{subject['digest']}").expect(200)
    assert answer.header("Content-Type") == OCI_INDEX
    assert answer.header("Link") is None
    found = [descriptor["annotations"]["number"] for descriptor in answer.json()["manifests"]]
    assert found == [str(number) for number in range(40)]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_c15_referrers_of_what_nobody_knows(fresh: Place, algorithm: str) -> None:
    answer = fresh.registry.get(f"/v2/{fresh.repo}/referrers/{Blob.random(8, algorithm).digest}").expect(200)
    assert answer.header("Content-Type") == OCI_INDEX
    assert answer.json()["manifests"] == []


def test_c15_referrers_filter(fresh: Place) -> None:
    """`+` in a type is no blank, several types are a union, an unknown one finds nothing."""
    data = DataSet("contract")
    subject = data.image("v1").descriptor
    kinds = ["application/vnd.example.a+json", "application/vnd.example.b", "application/vnd.example.c"]
    for kind in kinds:
        data.artifact(kind=kind, layer=b"{}", more={"subject": subject})
    for digest, content in data.blobs.items():
        fresh.push(Blob(content, digest))
    for manifest in data.manifests:
        fresh.put_manifest(manifest, manifest.digest).expect(201)
    where = f"/v2/{fresh.repo}/referrers/{subject['digest']}"
    asked: list[tuple[str, set[str]]] = [
        (query(artifactType=kinds[0]), {kinds[0]}),
        (f"?artifactType={kinds[0]}", {kinds[0]}),
        (f"{query(artifactType=kinds[0])}&{query(artifactType=kinds[2])[1:]}", {kinds[0], kinds[2]}),
        (query(artifactType="application/vnd.example.none"), set()),
    ]
    for parameters, expected in asked:
        answer = fresh.registry.get(where + parameters).expect(200)
        assert answer.header("OCI-Filters-Applied") == "artifactType", parameters
        assert {found["artifactType"] for found in answer.json()["manifests"]} == expected, parameters


# C17: the answer to a blob PUT starts soon. containerd waits 30 s, so nothing is read again at the end


def test_c17_the_end_of_a_large_upload_is_quick(fresh: Place) -> None:
    blob = Blob.random(48 * MEBI)
    location = fresh.begin()
    patched = fresh.registry.send("PATCH", location, [AS_OCTETS], body=blob.data, chunked=True).expect(202)
    begun = time.monotonic()
    fresh.finish(patched.need("Location"), blob).expect(201)
    assert time.monotonic() - begun < 5.0
    assert fresh.registry.get(fresh.blob(blob.digest)).expect(200).body == blob.data


# C18: no Content-Length. moby and c/image PATCH, the suite's manifest PUT


def test_c18_every_body_may_come_in_chunks(fresh: Place) -> None:
    blob = Blob.random(300_000)
    target = with_query(fresh.begin(), ("digest", blob.digest))
    fresh.registry.send("PUT", target, [AS_OCTETS], body=blob.data, chunked=True).expect(201)
    assert fresh.registry.get(fresh.blob(blob.digest)).expect(200).body == blob.data
    other = Blob.random(300_000)
    target = fresh.uploads(digest=other.digest)
    fresh.registry.send("POST", target, [AS_OCTETS], body=other.data, chunked=True).expect(201)
    assert fresh.registry.get(fresh.blob(other.digest)).expect(200).body == other.data
    manifest, _ = pushed_image(fresh)
    assert fresh.registry.get(fresh.manifest("v1")).expect(200).body == manifest.body


# C19: Accept does not choose. docker sends its types in random order


@pytest.mark.parametrize(
    "accept",
    [
        (),
        ("*/*",),
        ("text/html",),
        ("application/vnd.docker.distribution.manifest.v2+json",),
        ("application/json,application/vnd.oci.image.index.v1+json",),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json"),
        ("", ";;;q=x"),
    ],
)
def test_c19_accept_does_not_choose(fresh: Place, accept: tuple[str, ...]) -> None:
    manifest, _ = pushed_image(fresh)
    for reference in ("v1", manifest.digest):
        for method in ("GET", "HEAD"):
            lines = [("Accept", value) for value in accept]
            answer = fresh.registry.send(method, fresh.manifest(reference), lines).expect(200)
            assert answer.header("Content-Type") == manifest.media_type
            assert answer.header("Docker-Content-Digest") == manifest.digest
            assert answer.header("Content-Length") == str(len(manifest.body))


# C20: ranges. moby, c/image, regclient, podman with zstd:chunked


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("0-", 0, 5000), ("0-0", 0, 1), ("4999-5000", 4999, 5000), ("100-", 100, 5000), ("-9000", 0, 5000)],
)
def test_c20_one_range(fresh: Place, asked: str, start: int, stop: int) -> None:
    blob = Blob.random(5000)
    fresh.push(blob)
    answer = fresh.registry.get(fresh.blob(blob.digest), [("Range", f"bytes={asked}")]).expect(206)
    assert answer.header("Content-Range") == f"bytes {start}-{stop - 1}/5000"
    assert answer.header("Content-Length") == str(stop - start)
    assert answer.body == blob.data[start:stop]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("0-9,100-199", [(0, 10), (100, 200)]), ("4990-4999, 0-4 ,-3", [(4990, 5000), (0, 5), (4997, 5000)])],
)
def test_c20_several_ranges(fresh: Place, asked: str, expected: list[tuple[int, int]]) -> None:
    """All of the parts, or the whole blob; never one part only."""
    blob = Blob.random(5000)
    fresh.push(blob)
    answer = fresh.registry.get(fresh.blob(blob.digest), [("Range", f"bytes={asked}")]).expect(200, 206)
    assert answer.header("Content-Length") == str(len(answer.body))
    if answer.status == 200:
        assert answer.body == blob.data
        return
    kind = answer.need("Content-Type")
    assert kind.startswith("multipart/byteranges;"), kind
    parsed = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + answer.body, policy=HTTP)
    parts = list(parsed.iter_parts())
    found = [(str(part["Content-Range"]), part.get_payload(decode=True)) for part in parts]
    assert found == [(f"bytes {start}-{stop - 1}/5000", blob.data[start:stop]) for start, stop in expected]


@pytest.mark.parametrize("asked", ["items=0-1", "bytes", "bytes=", "bytes=a-b", "bytes=1-2-3", "bytes=-"])
def test_c20_a_range_that_is_none(fresh: Place, asked: str) -> None:
    """RFC 9110: a Range that cannot be read is as if it were not there; 416 is what the suite also knows."""
    blob = Blob.random(5000)
    fresh.push(blob)
    answer = fresh.registry.get(fresh.blob(blob.digest), [("Range", asked)]).expect(200, 416)
    if answer.status == 200:
        assert answer.body == blob.data


def test_c20_very_many_ranges_are_bounded(fresh: Place) -> None:
    blob = Blob.random(5000)
    fresh.push(blob)
    asked = "bytes=" + ",".join("0-4999" for _ in range(1000))
    answer = fresh.registry.get(fresh.blob(blob.digest), [("Range", asked)]).expect(200, 206, 416)
    assert len(answer.body) <= 2 * len(blob.data)


# C21: a blob that nothing refers to yet stays, and can be mounted


def test_c21_a_blob_stays_before_its_manifest_comes(fresh: Place) -> None:
    blob = Blob.random(1000)
    fresh.push(blob)
    manifest, blobs = pushed_image(fresh)
    fresh.registry.delete(fresh.manifest(manifest.digest)).expect(202)
    for other in blobs:
        fresh.registry.delete(fresh.blob(other.digest)).expect(202)
    time.sleep(2.0)
    fresh.registry.head(fresh.blob(blob.digest)).expect(200)
    target = fresh.uploads(fresh.other, mount=blob.digest) + "&from=" + fresh.repo
    fresh.registry.send("POST", target).expect(201)
    assert fresh.registry.get(fresh.blob(blob.digest, fresh.other)).expect(200).body == blob.data


def test_a_deleted_blob_stays_in_the_other_repository(fresh: Place) -> None:
    """Section 2.2: a blob that another repository uses can be deleted here, and is still there."""
    blob = Blob.random(1000)
    fresh.push(blob)
    fresh.push(blob, fresh.other)
    fresh.registry.delete(fresh.blob(blob.digest)).expect(202)
    fresh.registry.head(fresh.blob(blob.digest)).expect(404)
    assert fresh.registry.get(fresh.blob(blob.digest, fresh.other)).expect(200).body == blob.data
    fresh.push(blob)
    assert fresh.registry.get(fresh.blob(blob.digest)).expect(200).body == blob.data


@pytest.mark.parametrize(("mount", "source"), [("sha256:x", "a/b"), ("x", ""), (None, "UPPER"), (None, "a//b")])
def test_what_cannot_be_mounted_is_an_upload(fresh: Place, mount: str | None, source: str) -> None:
    """The specification: unable to mount is 202; oras gives up a copy on any other answer."""
    blob = Blob.random(500)
    target = fresh.uploads(mount=mount or blob.digest, **({"from": source} if source else {}))
    location = fresh.registry.send("POST", target).expect(202).need("Location")
    fresh.finish(location, blob, body=blob.data).expect(201)
    assert fresh.registry.get(fresh.blob(blob.digest)).expect(200).body == blob.data


def test_absent_content_is_refused_unless_sparse(fresh: Place) -> None:
    """What the specification's MUST allows is the default: a manifest cannot come before its content."""
    data = DataSet("contract")
    manifest = data.image("v1")
    index = data.index([(manifest.descriptor, None)], "v2")
    if fresh.sparse:
        fresh.put_manifest(manifest, "v1").expect(201)
        fresh.put_manifest(index, "v2").expect(201)
        return
    for pushed, tag in ((manifest, "v1"), (index, "v2")):
        assert fresh.put_manifest(pushed, tag).expect(400, 404).codes()[0] in {
            "MANIFEST_BLOB_UNKNOWN",
            "MANIFEST_UNKNOWN",
        }
        fresh.registry.head(fresh.manifest(tag)).expect(404)
