"""What other registries let out, lost or choked on, asked of both workers (wire.md 3.3, 3.4, 3.7)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.client import Answer
from tests.support.server import Server
from tests.support.wire import OCI_INDEX, OCI_MANIFEST, Client, digest, image
from tests.support.workers import cpu_seconds, one_each

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DATABASES = ("sqlite", "postgresql")
SUBJECT = {"mediaType": OCI_MANIFEST, "digest": digest(b"subject"), "size": 7}
GOOD = image(b"{}", annotations={"a": "b"}).decode()


def test_a_blob_of_another_repository_is_not_to_be_seen(client: Client, name: str) -> None:
    content = os.urandom(1000)
    found = client.push_blob(f"{name}/hidden", content)
    client.push_image(f"{name}/open", "v1")
    for path in (f"/v2/{name}/open/blobs/{found}", f"/v2/{name}/none/blobs/{found}"):
        client.ask("HEAD", path).expect(404)
        assert client.get(path).expect(404).codes() in (["BLOB_UNKNOWN"], ["NAME_UNKNOWN"])
        client.get(path, [("Range", "bytes=0-9")]).expect(404)
        client.get(path, [("If-None-Match", f'"{found}"')]).expect(404)
        client.ask("DELETE", path).expect(404)
    client.get(f"/v2/{name}/hidden/blobs/{found}").expect(200)
    refused = client.push_manifest(f"{name}/open", "v2", image(content))
    assert refused.expect(400).codes() == ["MANIFEST_BLOB_UNKNOWN"]


def test_a_blob_deleted_in_one_repository_is_kept_in_the_other(client: Client, name: str) -> None:
    content = os.urandom(1000)
    found = client.push_blob(f"{name}/one", content)
    client.ask("POST", f"/v2/{name}/two/blobs/uploads/?mount={found}&from={name}/one").expect(201)
    client.ask("DELETE", f"/v2/{name}/one/blobs/{found}").expect(202)
    client.get(f"/v2/{name}/one/blobs/{found}").expect(404)
    assert client.get(f"/v2/{name}/two/blobs/{found}").expect(200).body == content
    client.push_blob(f"{name}/one", content)
    assert client.get(f"/v2/{name}/one/blobs/{found}").expect(200).body == content


def test_a_condition_is_looked_at_after_the_manifest(server: Server, client: Client, name: str) -> None:
    client.push_image(name, "v1", b"layer")
    found = client.get(f"/v2/{name}/manifests/v1").expect(200).need("ETag")
    links = list(one_each(server).values())
    for link in links:
        link.ask("GET", f"/v2/{name}/manifests/v1", [("If-None-Match", found)]).expect(304)
    client.ask("DELETE", f"/v2/{name}/manifests/{found.strip(chr(34))}").expect(202)
    for link in links:
        link.ask("GET", f"/v2/{name}/manifests/v1", [("If-None-Match", found)]).expect(404)
        link.ask("GET", f"/v2/{name}/manifests/v1", [("If-None-Match", "*")]).expect(404)
        link.close()


@pytest.mark.parametrize("right", [0, 1])
def test_conditions_in_several_lines_are_one_condition(client: Client, name: str, right: int) -> None:
    client.push_image(name, "v1", b"layer")
    target, moved = f"/v2/{name}/manifests/v1", image(b"{}", annotations={"moved": "yes"})
    found = client.get(target).expect(200).need("ETag")
    lines = ['"sha256:other"', '"sha256:another"']

    def put(header: str, *values: str) -> Answer:
        return client.ask("PUT", target, [("Content-Type", OCI_MANIFEST), *((header, one) for one in values)], moved)

    lines[right] = found
    for method, path in (("GET", target), ("HEAD", target), ("GET", f"/v2/{name}/blobs/{digest(b'layer')}")):
        tag = found if path == target else f'"{digest(b"layer")}"'
        there = [("If-None-Match", one) for one in (lines if path == target else [tag, '"x"'][:: 1 - 2 * right])]
        client.ask(method, path, there).expect(304)
    client.get(target, [("If-None-Match", '"x"'), ("If-None-Match", '"y"')]).expect(200)
    put("If-None-Match", *(["*", '"x"'] if right == 0 else ['"x"', "*"])).expect(412)
    put("If-Match", '"x"', '"y"').expect(412)
    put("If-Match", f"W/{found}").expect(412)
    put("If-Match", *lines).expect(201)


def test_a_moved_tag_is_seen_at_once_by_every_worker(server: Server, client: Client, name: str) -> None:
    client.push_blob(name, b"{}")
    links = list(one_each(server).values())
    for number in range(20):
        manifest = image(b"{}", annotations={"n": str(number)})
        sender, reader = links[number % 2], links[1 - number % 2]
        headers = [("Content-Type", OCI_MANIFEST)]
        sender.ask("PUT", f"/v2/{name}/manifests/moving", headers, manifest).expect(201)
        for link in (reader, sender):
            answer = link.ask("GET", f"/v2/{name}/manifests/moving").expect(200)
            assert answer.need("Docker-Content-Digest") == digest(manifest)
            assert answer.body == manifest
    for link in links:
        link.close()


def test_a_referrer_is_listed_at_once_and_once(server: Server, client: Client, name: str) -> None:
    client.push_blob(name, b"{}")
    links = list(one_each(server).values())
    target = f"/v2/{name}/referrers/{digest(b'subject')}"
    for link in links:
        assert link.ask("GET", target).expect(200).json()["manifests"] == []
        link.ask("GET", f"{target}?artifactType=application/vnd.test.signature").expect(200)
    manifest = image(b"{}", subject=SUBJECT, artifactType="application/vnd.test.signature")
    for tag in ("one", "two", digest(manifest)):
        client.push_manifest(name, tag, manifest).expect(201)
    for link in links:
        for query in ("", "?artifactType=application/vnd.test.signature"):
            answer = link.ask("GET", target + query).expect(200)
            assert [each["digest"] for each in answer.json()["manifests"]] == [digest(manifest)]
        assert link.ask("GET", f"{target}?artifactType=other").expect(200).json()["manifests"] == []
    client.ask("DELETE", f"/v2/{name}/manifests/{digest(manifest)}").expect(202)
    for link in links:
        assert link.ask("GET", target).expect(200).json()["manifests"] == []
        link.close()


def test_each_digest_given_must_be_that_of_the_manifest(client: Client, name: str) -> None:
    client.push_blob(name, b"{}")
    manifest, other = image(b"{}"), image(b"{}", annotations={"a": "b"})
    for right in (digest(manifest), digest(manifest, "sha512")):
        for wrong in (digest(other), digest(other, "sha512")):
            for reference, parameter in ((right, wrong), (wrong, right), ("v1", wrong)):
                refused = client.push_manifest(name, f"{reference}?digest={parameter}", manifest).expect(400)
                assert refused.codes() == ["DIGEST_INVALID"]
    client.get(f"/v2/{name}/manifests/{digest(manifest)}").expect(404)
    both = client.push_manifest(name, f"{digest(manifest)}?digest={digest(manifest, 'sha512')}", manifest).expect(201)
    assert both.need("Docker-Content-Digest") == digest(manifest)


def test_the_same_bytes_are_of_one_type(client: Client, name: str) -> None:
    """What says nothing of itself is what it was pushed as, for all tags (CVE-2021-41190)."""
    client.push_blob(name, b"{}")
    value = json.loads(image(b"{}"))
    del value["mediaType"]
    untyped = json.dumps(value).encode()
    client.push_manifest(name, "v1", untyped, DOCKER_MANIFEST).expect(201)
    refused = client.push_manifest(name, "v2", untyped, OCI_MANIFEST).expect(400)
    assert refused.codes() == ["MANIFEST_INVALID"]
    assert DOCKER_MANIFEST in refused.json()["errors"][0]["message"]
    client.get(f"/v2/{name}/manifests/v2").expect(404)
    client.push_manifest(name, "v2", untyped, DOCKER_MANIFEST).expect(201)
    for reference in ("v1", "v2", digest(untyped)):
        assert client.get(f"/v2/{name}/manifests/{reference}").expect(200).need("Content-Type") == DOCKER_MANIFEST
    client.ask("DELETE", f"/v2/{name}/manifests/{digest(untyped)}").expect(202)
    client.push_manifest(name, "v1", untyped, OCI_MANIFEST).expect(201)
    assert client.get(f"/v2/{name}/manifests/v1").expect(200).need("Content-Type") == OCI_MANIFEST


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "*/*", "application/octet-stream", DOCKER_MANIFEST])
def test_a_content_type_that_is_not_the_manifests_own_is_refused(client: Client, name: str, kind: str) -> None:
    """CVE-2021-41190, wire.md 3.7: two programs that go by one of them each would see two things."""
    client.push_blob(name, b"{}")
    value = json.loads(image(b"{}"))
    refused = client.push_manifest(name, "v1", json.dumps(value).encode(), kind).expect(400)
    assert refused.codes() == ["MANIFEST_INVALID"]
    assert "Content-Type" in refused.json()["errors"][0]["message"]
    del value["mediaType"]
    if kind != DOCKER_MANIFEST:  # which is good for what says nothing of itself
        client.push_manifest(name, "v1", json.dumps(value).encode(), kind).expect(400)
    client.get(f"/v2/{name}/manifests/v1").expect(404)


@pytest.mark.parametrize("headers", [[], [("Content-Type", "")], [("Content-Type", f"{OCI_MANIFEST.upper()};a=b")]])
def test_without_a_content_type_the_manifest_says_what_it_is(
    client: Client, name: str, headers: list[tuple[str, str]]
) -> None:
    client.push_blob(name, b"{}")
    client.ask("PUT", f"/v2/{name}/manifests/v1", headers, image(b"{}")).expect(201)
    assert client.get(f"/v2/{name}/manifests/v1").expect(200).need("Content-Type") == OCI_MANIFEST


LIMIT = 4 * 1024 * 1024
FILLED = "application/vnd.test.filled"


def filled(size: int, **members: Any) -> bytes:
    """An index of exactly so many bytes with these members; a text in it is as long as that takes."""
    value = json.dumps({"schemaVersion": 2, "manifests": [], **members}, separators=(",", ":"))
    return value.replace(FILLED, "x" * (size - len(value) + len(FILLED))).encode()


def test_no_page_of_referrers_has_4_mib(client: Client, name: str) -> None:
    """Clients read that much of the first page and no second one (wire.md 0, C15)."""
    by_subject = filled(LIMIT, subject=SUBJECT, artifactType="application/vnd.test.a", annotations={"a": FILLED})
    listed = {"mediaType": OCI_INDEX, "digest": digest(by_subject), "size": LIMIT, "artifactType": "b"}
    small = image(b"{}", subject=SUBJECT)
    client.push_blob(name, b"{}")
    for each, kind in ((by_subject, OCI_INDEX), (small, OCI_MANIFEST)):
        client.push_manifest(name, digest(each), each, kind).expect(201)
    answer = client.get(f"/v2/{name}/referrers/{digest(b'subject')}").expect(200)
    assert len(answer.body) < LIMIT
    assert [each["digest"] for each in answer.json()["manifests"]] == [digest(by_subject), digest(small)]

    entry = {**listed, "annotations": {"a": FILLED}}
    by_tag = filled(LIMIT, manifests=[entry])
    tag = f"sha256-{digest(b'tagged').removeprefix('sha256:')}"
    client.push_manifest(name, tag, by_tag, OCI_INDEX).expect(201)
    answer = client.get(f"/v2/{name}/referrers/{digest(b'tagged')}").expect(200)
    assert len(answer.body) < LIMIT
    assert answer.json()["manifests"][0] == listed


@pytest.mark.parametrize(
    "tag", ["sha256-zz.sig", "sha256-.att", "sha256-", "sha512-" + "0" * 121, "_", "A", "0", "a" * 128]
)
def test_a_tag_that_looks_like_something_else_is_a_tag(client: Client, name: str, tag: str) -> None:
    pushed = client.push_image(name, tag)
    assert client.get(f"/v2/{name}/manifests/{tag}").expect(200).need("Docker-Content-Digest") == pushed
    assert client.get(f"/v2/{name}/tags/list").expect(200).json()["tags"] == [tag]
    client.get(f"/v2/{name}/referrers/{pushed}").expect(200)
    client.ask("DELETE", f"/v2/{name}/manifests/{tag}").expect(202)


# Documents that two readers of JSON understand differently, or that break one of them.
AMBIGUOUS: dict[str, Callable[[], bytes]] = {
    "byte order mark": lambda: b"\xef\xbb\xbf" + GOOD.encode(),
    "UTF-16": lambda: GOOD.encode("utf-16"),
    "UTF-32": lambda: GOOD.encode("utf-32"),
    "no UTF-8": lambda: GOOD.replace('"b"', '"\u00ff"').encode("latin-1"),
    "NaN": lambda: GOOD.replace('"b"', "NaN").encode(),
    "Infinity": lambda: GOOD.replace('"b"', "-Infinity").encode(),
    "an integer of 5,000 digits": lambda: GOOD.replace('"size": 2', '"size": ' + "9" * 5000).encode(),
    "a number beyond all": lambda: GOOD.replace('"size": 2', '"size": 1e999').encode(),
    "a size that is no integer": lambda: GOOD.replace('"size": 2', '"size": 2.5').encode(),
    "a negative size": lambda: GOOD.replace('"size": 2', '"size": -2').encode(),
    "100,000 levels of lists": lambda: GOOD.replace('"b"', "[" * 100_000 + "]" * 100_000).encode(),
    "100,000 levels of objects": lambda: GOOD.replace('"b"', '{"a":' * 100_000 + "1" + "}" * 100_000).encode(),
    "levels without an end": lambda: b"[" * 3_000_000,
    "a member twice": lambda: GOOD.replace('"layers": []', '"layers": [], "layers": []').encode(),
    "a member in another case": lambda: GOOD.replace('"layers"', '"Layers"').encode(),
    "a member in another case beside it": lambda: GOOD.replace('"layers": []', '"layers": [], "LAYERS": []').encode(),
    "a digest in another case": lambda: GOOD.replace('"digest"', '"Digest"').encode(),
    "an image and an index at once": lambda: GOOD.replace('"layers": []', '"layers": [], "manifests": []').encode(),
    "another type inside": lambda: GOOD.replace(OCI_MANIFEST, OCI_INDEX).encode(),
    "something behind the end": lambda: GOOD.encode() + b"{}",
    "a zero byte behind the end": lambda: GOOD.encode() + b"\0",
    "a control character in a text": lambda: GOOD.replace('"b"', '"\x01"').encode(),
    "half a surrogate": lambda: GOOD.replace('"b"', '"\\ud800"').encode(),
    "a list": lambda: b"[]",
    "a text": lambda: b'"manifest"',
    "nothing": lambda: b"",
    "blanks": lambda: b" " * 1000,
    "null": lambda: b"null",
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_a_manifest_that_readers_may_disagree_about_is_refused(client: Client, name: str, case: str) -> None:
    client.push_blob(name, b"{}")
    data = AMBIGUOUS[case]()
    assert data != GOOD.encode()
    began = cpu_seconds(client.server)
    assert client.push_manifest(name, "v1", data).expect(400).codes() == ["MANIFEST_INVALID"]
    assert cpu_seconds(client.server) - began < 1.0
    client.push_manifest(name, digest(data), data).expect(400)
    client.get(f"/v2/{name}/manifests/v1").expect(404)


def test_the_document_that_they_were_made_of_is_good(client: Client, name: str) -> None:
    client.push_blob(name, b"{}")
    client.push_manifest(name, "v1", GOOD.encode()).expect(201)
    assert client.get(f"/v2/{name}/manifests/v1").expect(200).body == GOOD.encode()


@pytest.mark.parametrize("padding", [0, 1])
def test_the_size_limit_of_manifests_is_exact(client: Client, name: str, padding: int) -> None:
    client.push_blob(name, b"{}")
    base = json.loads(GOOD)
    base["annotations"]["a"] = ""
    base["annotations"]["a"] = "x" * (4 * 1024 * 1024 - len(json.dumps(base)) + padding)
    data = json.dumps(base).encode()
    assert len(data) == 4 * 1024 * 1024 + padding
    for chunked in (False, True):
        headers = [("Content-Type", OCI_MANIFEST)]
        answer = client.ask("PUT", f"/v2/{name}/manifests/v1", headers, data, chunked=chunked)
        answer.expect(413 if padding else 201)
    if not padding:
        assert client.get(f"/v2/{name}/manifests/v1").expect(200).body == data


def test_fifty_large_manifests_at_once_are_taken(server: Server, client: Client, name: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    client.push_blob(name, b"{}")
    manifests = [image(b"{}", annotations={"n": str(number), "filling": "x" * 1_000_000}) for number in range(50)]

    def push(number: int) -> int:
        with Client(server) as own:
            return own.push_manifest(name, f"large{number}", manifests[number]).status

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(push, range(50))) == {201}
    assert client.get(f"/v2/{name}/manifests/large49").expect(200).body == manifests[49]
