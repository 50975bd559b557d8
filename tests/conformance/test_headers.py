"""The header table (section 1.9) and the rules about pages: C14, C22."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.conformance.client import Answer, query
from tests.conformance.content import Blob, DataSet, Manifest
from tests.conformance.steps import Place

LINK = re.compile(r'<(/v2/[^<>;\s]+)>; ?rel="?next"?')


@pytest.fixture
def stored(fresh: Place) -> Manifest:
    """An image, pushed as `v1`."""
    data = DataSet("headers")
    manifest = data.image("v1")
    for digest, content in data.blobs.items():
        fresh.push(Blob(content, digest))
    fresh.put_manifest(manifest, "v1").expect(201)
    return manifest


def next_page(answer: Answer) -> str | None:
    """Return where the next page is, after checking that every client can follow it."""
    line = answer.header("Link")
    if line is None:
        return None
    found = LINK.fullmatch(line)
    assert found, line
    return found[1]


def test_c14_pages_of_tags(fresh: Place, stored: Manifest) -> None:
    """Every tag once, in the order of bytes, whatever the page size; no Link on the last page."""
    tags = {f"t{number:03}" for number in range(60)} | {"A", "Z", "_", "a.b-c", "latest", "v1", "v10", "v1-x"}
    for tag in tags:
        fresh.put_manifest(stored, tag).expect(201)
    expected = sorted(tags, key=str.encode)
    base = f"/v2/{fresh.repo}/tags/list"
    whole = fresh.registry.get(base).expect(200)
    assert whole.json() == {"name": fresh.repo, "tags": expected}
    assert whole.header("Link") is None
    assert whole.header("Content-Type") == "application/json"
    for size in (1, 7, 68, 69, 1000):
        gathered: list[str] = []
        target: str | None = f"{base}?n={size}"
        while target:
            answer = fresh.registry.get(target).expect(200)
            page = answer.json()["tags"]
            assert len(page) <= size
            gathered += page
            target = next_page(answer)
            assert target is None or urlsplit(target).path == base
        assert gathered == expected, size


def test_c14_a_page_of_nothing(fresh: Place, stored: Manifest) -> None:
    answer = fresh.registry.get(f"/v2/{fresh.repo}/tags/list?n=0").expect(200)
    assert answer.json()["tags"] == []
    assert answer.header("Link") is None


def test_c14_behind_the_last_and_behind_what_is_not_there(fresh: Place, stored: Manifest) -> None:
    base = f"/v2/{fresh.repo}/tags/list"
    assert fresh.registry.get(base + "?last=zzz").expect(200).json()["tags"] == []
    assert fresh.registry.get(base + "?last=a").expect(200).json()["tags"] == ["v1"]
    assert fresh.registry.get(base + "?n=5&last=v1").expect(200).json()["tags"] == []


def test_c14_pages_of_the_catalog(fresh: Place) -> None:
    repositories = [f"{fresh.repo}-{letter}" for letter in "abcde"]
    manifest = DataSet("catalog").index([])
    for repository in repositories:
        fresh.put_manifest(manifest, "v1", repo=repository).expect(201)
    gathered: list[str] = []
    target: str | None = "/v2/_catalog?n=3&" + query(last=fresh.repo)[1:]
    while target and repositories[-1] not in gathered:
        answer = fresh.registry.get(target).expect(200)
        gathered += answer.json()["repositories"]
        target = next_page(answer)
    assert [name for name in gathered if name in repositories] == repositories
    assert gathered == sorted(set(gathered), key=str.encode)


def test_c22_version_header_on_every_answer(fresh: Place, stored: Manifest) -> None:
    registry = fresh.registry
    answers = [
        registry.get("/v2/").expect(200),
        registry.get("/v2/_catalog").expect(200),
        registry.get(f"/v2/{fresh.repo}/tags/list").expect(200),
        registry.get(f"/v2/{fresh.repo}/referrers/{stored.digest}").expect(200),
        registry.get(fresh.manifest("v1")).expect(200),
        registry.head(fresh.manifest("v1")).expect(200),
        registry.get(fresh.manifest("none")).expect(404),
        registry.get(fresh.blob("sha256:x")).expect(400),
        registry.send("POST", fresh.blob(stored.digest)).expect(405),
        registry.get("/v2/nothing").expect(400, 404),
        registry.send("POST", fresh.uploads()).expect(202),
        registry.delete(fresh.manifest("v1")).expect(202),
    ]
    for answer in answers:
        assert answer.header("Docker-Distribution-Api-Version") == "registry/2.0", answer


def test_c22_upload_id(fresh: Place) -> None:
    blob = Blob.random(100)
    started = fresh.registry.send("POST", fresh.uploads()).expect(202)
    patched = fresh.patch(started.need("Location"), blob, 0, 100).expect(202)
    status = fresh.registry.get(patched.need("Location")).expect(204)
    ids = {answer.need("Docker-Upload-UUID") for answer in (started, patched, status)}
    assert len(ids) == 1
    assert f"/blobs/uploads/{ids.pop()}" in started.need("Location")


def test_accept_ranges_of_a_blob(fresh: Place) -> None:
    """Oras asks for ranges only then."""
    blob = Blob.random(100)
    fresh.push(blob)
    for method in ("GET", "HEAD"):
        answer = fresh.registry.send(method, fresh.blob(blob.digest)).expect(200)
        assert answer.header("Accept-Ranges") == "bytes"


def test_oci_subject(fresh: Place, stored: Manifest) -> None:
    data = DataSet("headers")
    made = data.artifact(layer=b"{}", more={"subject": stored.descriptor})
    fresh.push(Blob.of(b"{}"))
    assert fresh.put_manifest(made, "by-tag").expect(201).header("OCI-Subject") == stored.digest
    assert fresh.put_manifest(made, made.digest).expect(201).header("OCI-Subject") == stored.digest
    assert fresh.put_manifest(stored, "again").expect(201).header("OCI-Subject") is None


def test_oci_filters_applied_only_if_asked(fresh: Place, stored: Manifest) -> None:
    where = f"/v2/{fresh.repo}/referrers/{stored.digest}"
    assert fresh.registry.get(where).expect(200).header("OCI-Filters-Applied") is None
    answer = fresh.registry.get(where + query(artifactType="application/x")).expect(200)
    assert answer.header("OCI-Filters-Applied") == "artifactType"


def test_oci_tag(fresh: Place, stored: Manifest) -> None:
    answer = fresh.put_manifest(stored, stored.digest, tags=("one", "two")).expect(201)
    listed = {tag.strip() for line in answer.values("OCI-Tag") for tag in line.split(",")}
    assert listed == {"one", "two"}
    for tag in listed:
        assert fresh.registry.head(fresh.manifest(tag)).need("Docker-Content-Digest") == stored.digest


def test_etag_and_if_none_match(fresh: Place, stored: Manifest) -> None:
    """The docker client asks again with the quoted digest."""
    registry, target = fresh.registry, fresh.manifest("v1")
    etag = registry.get(target).expect(200).need("ETag")
    assert etag == f'"{stored.digest}"'
    for asked in (etag, f'"x", {etag}', "*", f"W/{etag}"):
        for method in ("GET", "HEAD"):
            answer = registry.send(method, target, [("If-None-Match", asked)]).expect(304)
            assert answer.body == b""
            assert answer.header("ETag") == etag
    assert registry.get(target, [("If-None-Match", '"x"')]).expect(200).body == stored.body


def test_etag_of_a_blob(fresh: Place) -> None:
    blob = Blob.random(100)
    fresh.push(blob)
    etag = fresh.registry.head(fresh.blob(blob.digest)).expect(200).need("ETag")
    fresh.registry.get(fresh.blob(blob.digest), [("If-None-Match", etag)]).expect(304)
    asked = [("Range", "bytes=0-9"), ("If-Range", etag)]
    assert fresh.registry.get(fresh.blob(blob.digest), asked).expect(206).body == blob.data[:10]
    asked = [("Range", "bytes=0-9"), ("If-Range", '"other"')]
    assert fresh.registry.get(fresh.blob(blob.digest), asked).expect(200).body == blob.data


def conditional(place: Place, manifest: Manifest, tag: str, name: str, value: str) -> Answer:
    lines = [("Content-Type", manifest.media_type), (name, value)]
    return place.registry.send("PUT", place.manifest(tag), lines, body=manifest.body)


def test_conditional_put(fresh: Place, stored: Manifest) -> None:
    """Two clients that change the same fallback tag do not lose each other's change."""
    other = DataSet("headers").index([])
    conditional(fresh, other, "v1", "If-None-Match", "*").expect(412)
    conditional(fresh, other, "v1", "If-Match", '"sha256:x"').expect(412)
    conditional(fresh, other, "absent", "If-Match", "*").expect(412)
    assert fresh.registry.get(fresh.manifest("v1")).expect(200).body == stored.body
    fresh.registry.get(fresh.manifest("absent")).expect(404)
    conditional(fresh, other, "new", "If-None-Match", "*").expect(201)
    conditional(fresh, other, "v1", "If-Match", f'"{stored.digest}"').expect(201)
    assert fresh.registry.get(fresh.manifest("v1")).expect(200).body == other.body


def test_warnings_are_well_formed(fresh: Place, stored: Manifest) -> None:
    """c/image, containerd and regclient print them: `299 - "..."`, without control characters."""
    answers = [
        fresh.put_manifest(stored, "v2").expect(201),
        fresh.registry.get(fresh.manifest("v1")).expect(200),
        fresh.registry.delete(fresh.manifest("v2")).expect(202),
    ]
    for answer in answers:
        lines = answer.values("Warning")
        assert sum(map(len, lines)) <= 4096
        for line in lines:
            assert re.fullmatch(r'299 - "(?:[^"\\\x00-\x1f\x7f]|\\.)*"', line), line


def test_no_charset_on_what_is_stored(fresh: Place, stored: Manifest) -> None:
    blob = Blob.random(10)
    fresh.push(blob)
    assert fresh.registry.get(fresh.manifest("v1")).need("Content-Type") == stored.media_type
    assert fresh.registry.get(fresh.blob(blob.digest)).need("Content-Type") == "application/octet-stream"


def test_discovery_of_extensions(fresh: Place) -> None:
    answer = fresh.registry.get("/v2/_oci/ext/discover").expect(200)
    assert answer.header("Content-Type") == "application/json"
    assert isinstance(answer.json()["extensions"], list)
