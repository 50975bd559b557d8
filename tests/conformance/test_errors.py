"""C16: an error is JSON with one of the specification's codes and the status that clients were tuned to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.client import Answer, with_query
from tests.conformance.content import OCI_IMAGE, Blob, DataSet
from tests.conformance.steps import AS_OCTETS, Place, chunk_headers

MANIFEST = ("Content-Type", OCI_IMAGE)
Ask = Callable[[Place], Answer]


def upload_unknown(place: Place) -> str:
    """Return the location of an upload that is over."""
    location = place.begin()
    place.registry.delete(location).expect(204)
    return location


def put(place: Place, body: bytes, reference: str = "v1") -> Answer:
    return place.registry.send("PUT", place.manifest(reference), [MANIFEST], body=body)


def wrong_chunk(place: Place, content_range: str) -> Answer:
    lines = [AS_OCTETS, ("Content-Range", content_range)]
    return place.registry.send("PATCH", place.begin(), lines, body=b"12345")


ERRORS: dict[str, tuple[Ask, int, set[str]]] = {
    "blob-unknown": (lambda p: p.registry.get(p.blob(Blob.random(9).digest)), 404, {"BLOB_UNKNOWN"}),
    "blob-digest-invalid": (lambda p: p.registry.get(p.blob("sha256:abc")), 400, {"DIGEST_INVALID"}),
    "blob-algorithm-unknown": (
        lambda p: p.registry.get(p.blob("md5:" + "0" * 32)),
        400,
        {"DIGEST_INVALID", "UNSUPPORTED"},
    ),
    "blob-delete-unknown": (
        lambda p: p.registry.delete(p.blob(Blob.random(9).digest)),
        404,
        {"BLOB_UNKNOWN"},
    ),
    "manifest-unknown-tag": (lambda p: p.registry.get(p.manifest("none")), 404, {"MANIFEST_UNKNOWN"}),
    "manifest-unknown-digest": (
        lambda p: p.registry.get(p.manifest(Blob.random(9).digest)),
        404,
        {"MANIFEST_UNKNOWN"},
    ),
    "manifest-delete-unknown": (
        lambda p: p.registry.delete(p.manifest("none")),
        404,
        {"MANIFEST_UNKNOWN"},
    ),
    "manifest-not-json": (lambda p: put(p, b"hello"), 400, {"MANIFEST_INVALID"}),
    "manifest-empty": (lambda p: put(p, b""), 400, {"MANIFEST_INVALID"}),
    "manifest-list": (lambda p: put(p, b"[]"), 400, {"MANIFEST_INVALID"}),
    "manifest-number": (lambda p: put(p, b"42"), 400, {"MANIFEST_INVALID"}),
    "manifest-duplicate-member": (
        lambda p: put(p, b'{"schemaVersion":2,"schemaVersion":2,"config":{},"layers":[]}'),
        400,
        {"MANIFEST_INVALID"},
    ),
    "manifest-nan": (lambda p: put(p, b'{"schemaVersion":NaN}'), 400, {"MANIFEST_INVALID"}),
    "manifest-utf16": (lambda p: put(p, '{"schemaVersion":2}'.encode("utf-16")), 400, {"MANIFEST_INVALID"}),
    "manifest-byte-order-mark": (
        lambda p: put(p, '{"schemaVersion":2}'.encode("utf-8-sig")),
        400,
        {"MANIFEST_INVALID"},
    ),
    "manifest-deep": (lambda p: put(p, b'{"a":' * 50_000 + b"1" + b"}" * 50_000), 400, {"MANIFEST_INVALID"}),
    "manifest-huge-number": (
        lambda p: put(p, b'{"schemaVersion":' + b"9" * 6000 + b"}"),
        400,
        {"MANIFEST_INVALID"},
    ),
    "manifest-too-large": (
        lambda p: put(p, b'{"a":"' + b"A" * (4 * 1024 * 1024) + b'"}'),
        413,
        {"MANIFEST_INVALID", "SIZE_INVALID"},
    ),
    "tag-invalid": (lambda p: put(p, b"{}", "-v1"), 400, {"TAG_INVALID", "MANIFEST_INVALID", "NAME_INVALID"}),
    "tag-with-newline": (lambda p: put(p, b"{}", "v1%0A"), 400, {"TAG_INVALID", "MANIFEST_INVALID"}),
    "tag-too-long": (lambda p: put(p, b"{}", "a" * 129), 400, {"TAG_INVALID", "MANIFEST_INVALID"}),
    "name-upper-case": (lambda p: p.registry.get("/v2/UPPER/case/tags/list"), 400, {"NAME_INVALID"}),
    "name-empty-part": (lambda p: p.registry.get("/v2/a//b/tags/list"), 400, {"NAME_INVALID"}),
    "name-too-long": (lambda p: p.registry.get(f"/v2/{'a' * 256}/tags/list"), 400, {"NAME_INVALID"}),
    "name-unknown": (lambda p: p.registry.get(f"/v2/{p.repo}/never/tags/list"), 404, {"NAME_UNKNOWN"}),
    "upload-unknown": (lambda p: p.registry.get(upload_unknown(p)), 404, {"BLOB_UPLOAD_UNKNOWN"}),
    "upload-unknown-patch": (
        lambda p: p.registry.send("PATCH", upload_unknown(p), [AS_OCTETS], body=b"1"),
        404,
        {"BLOB_UPLOAD_UNKNOWN"},
    ),
    "upload-digest-missing": (
        lambda p: p.registry.send("PUT", p.begin(), [AS_OCTETS], body=b"1"),
        400,
        {"DIGEST_INVALID"},
    ),
    "upload-digest-invalid": (
        lambda p: p.registry.send("PUT", with_query(p.begin(), ("digest", "sha256:x")), [AS_OCTETS], body=b"1"),
        400,
        {"DIGEST_INVALID"},
    ),
    "upload-range-wrong": (
        lambda p: p.registry.send("PATCH", p.begin(), chunk_headers(5, 10), body=b"12345"),
        416,
        {"BLOB_UPLOAD_INVALID", "SIZE_INVALID"},
    ),
    "method-of-a-blob": (
        lambda p: p.registry.send("POST", p.blob(Blob.random(9).digest)),
        405,
        {"UNSUPPORTED"},
    ),
    "method-of-a-list": (lambda p: p.registry.delete(f"/v2/{p.repo}/tags/list"), 405, {"UNSUPPORTED"}),
    "referrers-digest-invalid": (
        lambda p: p.registry.get(f"/v2/{p.repo}/referrers/sha256:x"),
        400,
        {"DIGEST_INVALID"},
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_c16_error(fresh: Place, name: str) -> None:
    ask, status, codes = ERRORS[name]
    answer = ask(fresh).expect(status)
    found = answer.codes()
    assert set(found) <= codes, found
    assert answer.header("Content-Length") == str(len(answer.body))


EARLY: dict[str, tuple[Callable[[Place, bytes], Answer], int]] = {
    "manifest-too-large": (
        lambda p, body: p.registry.send("PUT", p.manifest("v1"), [MANIFEST], body=body, keep=True),
        413,
    ),
    "upload-range-wrong": (
        lambda p, body: p.registry.send("PATCH", p.begin(), chunk_headers(5, 5 + len(body)), body=body, keep=True),
        416,
    ),
    "upload-unknown": (
        lambda p, body: p.registry.send("PATCH", upload_unknown(p), [AS_OCTETS], body=body, keep=True),
        404,
    ),
    "method-of-a-blob": (
        lambda p, body: p.registry.send("PUT", p.blob(Blob.random(9).digest), body=body, keep=True),
        405,
    ),
}


@pytest.mark.parametrize("name", EARLY)
def test_c16_a_large_body_that_is_refused(fresh: Place, name: str) -> None:
    """The answer arrives, and the connection either goes on or was said to end (RFC 9112 section 9.6)."""
    ask, status = EARLY[name]
    for _ in range(12):
        ask(fresh, b"A" * 8 * 1024 * 1024).expect(status).codes()
        fresh.registry.send("POST", fresh.uploads()).expect(202)


@pytest.mark.parametrize("where", ["/v2/nothing", "/v2/a/b/c", "/v2/a/blobs", "/v2/_unknown/x"])
def test_c16_a_path_that_is_none(fresh: Place, where: str) -> None:
    assert fresh.registry.get(where).expect(404, 400).codes()


@pytest.mark.parametrize("number", ["-1", "x", "1_0", "%2B5", "%205", "1.0", "0x10", "%D9%A3", "1e3", "9" * 5000])
@pytest.mark.parametrize("where", ["tags", "catalog"])
def test_c16_a_page_size_that_is_none(fresh: Place, number: str, where: str) -> None:
    """Only ASCII digits are a number; one that is too large may also be taken as "as many as you give"."""
    data = DataSet("contract")
    manifest = data.index([], "v1")
    fresh.put_manifest(manifest, "v1").expect(201)
    target = f"/v2/{fresh.repo}/tags/list" if where == "tags" else "/v2/_catalog"
    answer = fresh.registry.get(f"{target}?n={number}")
    if len(number) > 100 and answer.status in {200, 414}:
        return
    assert answer.expect(400).codes() == ["PAGINATION_NUMBER_INVALID"]


@pytest.mark.parametrize("content_range", ["+0-4", " 0 - 4 x", "0-4/5 x", "4-0", "0_0-4", "\u0660-\u0664", "x"])
def test_c16_a_content_range_that_is_none(fresh: Place, content_range: str) -> None:
    """It must not be guessed: either it is not valid, or it does not fit."""
    value = content_range.encode().decode("latin-1")
    answer = wrong_chunk(fresh, value).expect(400, 416)
    assert set(answer.codes()) <= {"BLOB_UPLOAD_INVALID", "SIZE_INVALID", "DIGEST_INVALID"}


def test_c16_a_chunk_that_is_not_as_long_as_it_says(fresh: Place) -> None:
    answer = wrong_chunk(fresh, "0-9").expect(400, 416)
    assert set(answer.codes()) <= {"BLOB_UPLOAD_INVALID", "SIZE_INVALID"}
