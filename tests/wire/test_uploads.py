"""The upload session over real sockets: every way of pushing a blob, in whichever worker, over restarts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from moorage.registry.upload import SMALL
from tests.support.server import Server
from tests.support.wire import OCI_MANIFEST, Client, Link, digest, image, wait_until
from tests.support.workers import one_each
from tests.wire.conftest import Serve

DATABASES = ("sqlite", "postgresql")
DIGESTS = ["sha256", "sha512"]


@pytest.fixture
def both(server: Server) -> Iterator[list[Link]]:
    """A connection to each worker."""
    links = one_each(server)
    yield list(links.values())
    for each in links.values():
        each.close()


def blob_file(server: Server, found: str) -> Path:
    """Where Distribution's layout has a blob."""
    algorithm, _, hexadecimal = found.partition(":")
    return server.root / "docker/registry/v2/blobs" / algorithm / hexadecimal[:2] / hexadecimal / "data"


def check_blob(client: Client, name: str, content: bytes, algorithm: str = "sha256") -> None:
    """The blob is there, as it was sent."""
    found = digest(content, algorithm)
    answer = client.get(f"/v2/{name}/blobs/{found}").expect(200)
    assert answer.body == content
    assert answer.need("Docker-Content-Digest") == found
    file = blob_file(client.server, found)
    wait_until(file.exists)  # a small one has its file a moment later
    assert file.read_bytes() == content


# --- the ways of pushing


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_post_and_put(client: Client, name: str, algorithm: str, size: int, chunked: bool) -> None:
    content = os.urandom(size)
    target = f"{client.begin(name)}?digest={digest(content, algorithm)}"
    answer = client.ask("PUT", target, body=content, chunked=chunked).expect(201)
    assert answer.need("Location") == f"/v2/{name}/blobs/{digest(content, algorithm)}"
    assert answer.need("Docker-Content-Digest") == digest(content, algorithm)
    check_blob(client, name, content, algorithm)


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("chunked", [False, True])
def test_one_post(client: Client, name: str, algorithm: str, chunked: bool) -> None:
    content = os.urandom(600_000)
    target = f"/v2/{name}/blobs/uploads/?digest={digest(content, algorithm)}"
    client.ask("POST", target, body=content, chunked=chunked).expect(201)
    check_blob(client, name, content, algorithm)


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_stream_and_an_empty_put(client: Client, name: str, algorithm: str, announced: bool, chunked: bool) -> None:
    content = os.urandom(1_500_000)
    location = client.begin(name, f"?digest-algorithm={algorithm}" if announced else "")
    answer = client.ask("PATCH", location, body=content, chunked=chunked).expect(202)
    assert answer.need("Range") == "0-1499999"
    assert answer.need("Docker-Upload-UUID") in answer.need("Location")
    client.ask("PUT", f"{answer.need('Location')}?digest={digest(content, algorithm)}").expect(201)
    check_blob(client, name, content, algorithm)


@pytest.mark.parametrize("last_in_put", [False, True])
@pytest.mark.parametrize("form", ["{}-{}", "bytes {}-{}/*"])
def test_chunks(client: Client, name: str, last_in_put: bool, form: str) -> None:
    content = os.urandom(3067)
    location = client.begin(name)
    pieces = [(at, content[at : at + 1024]) for at in range(0, 3067, 1024)]
    for at, piece in pieces[: -1 if last_in_put else None]:
        chunk = [("Content-Range", form.format(at, at + len(piece) - 1))]
        location = client.ask("PATCH", location, chunk, piece).expect(202).need("Location")
    target = f"{location}?digest={digest(content)}"
    if last_in_put:
        client.ask("PUT", target, [("Content-Range", form.format(2048, 3066))], content[2048:]).expect(201)
    else:
        client.ask("PUT", target).expect(201)
    check_blob(client, name, content)


def test_a_manifest_in_chunks(client: Client, name: str) -> None:
    client.push_blob(name, b"{}")
    manifest = image(b"{}", annotations={"filling": "x" * 1_000_000})
    kind = [("Content-Type", OCI_MANIFEST)]
    client.ask("PUT", f"/v2/{name}/manifests/v1", kind, manifest, chunked=True).expect(201)
    assert client.get(f"/v2/{name}/manifests/v1").expect(200).body == manifest


# --- what does not fit


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_out_of_order_is_refused_and_the_session_lives(client: Client, name: str, method: str) -> None:
    content = os.urandom(2048)
    location = client.begin(name)
    query = f"?digest={digest(content)}" if method == "PUT" else ""

    def wrong(start: int, stop: int, held: str) -> None:
        headers = [("Content-Range", f"{start}-{stop - 1}")]
        answer = client.ask(method, location + query, headers, content[start:stop]).expect(416)
        assert answer.codes() == ["BLOB_UPLOAD_INVALID"]
        assert answer.need("Location") == location
        assert answer.need("Range") == held
        assert client.get(location + query).expect(204).need("Range") == held

    wrong(1024, 2048, "0--1")
    client.ask("PATCH", location, [("Content-Range", "0-1023")], content[:1024]).expect(202)
    wrong(0, 1024, "0-1023")
    wrong(512, 2048, "0-1023")
    wrong(1025, 2048, "0-1023")
    last = [("Content-Range", "1024-2047")]
    client.ask("PUT", f"{location}?digest={digest(content)}", last, content[1024:]).expect(201)
    check_blob(client, name, content)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("5-0", 400),
        ("a-b", 400),
        ("0-9, 20-29", 400),
        ("0-1_0", 400),
        ("\u00b2-\u00b3", 400),
        ("0-99999999999999999999999999", 400),
        ("-5", 400),
        ("", 400),
        ("0-8", 400),  # and ten bytes come
        ("0-10", 400),
        ("0-9223372036854775807", 400),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_chunk_that_is_not_as_announced(client: Client, name: str, header: str, status: int, chunked: bool) -> None:
    location = client.begin(name)
    headers = [("Content-Range", header)]
    assert client.ask("PATCH", location, headers, b"0123456789", chunked=chunked).expect(status).codes()
    offset = int(client.get(location).expect(204).need("Range")[2:]) + 1
    client.ask("PATCH", location, body=b"0123456789"[offset:]).expect(202)
    client.ask("PUT", f"{location}?digest={digest(b'0123456789')}").expect(201)


@pytest.mark.parametrize("body", [b"content", b""])
def test_a_wrong_digest_is_refused(client: Client, name: str, body: bytes) -> None:
    wrong = digest(b"something else")
    location = client.begin(name)
    client.ask("PATCH", location, body=b"stored before").expect(202)
    assert client.ask("PUT", f"{location}?digest={wrong}", body=body).expect(400).codes() == ["DIGEST_INVALID"]
    post = client.ask("POST", f"/v2/{name}/blobs/uploads/?digest={wrong}", body=body)
    assert post.expect(400).codes() == ["DIGEST_INVALID"]
    client.get(f"/v2/{name}/blobs/{wrong}").expect(404)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?digest=",
        "?digest=sha256:short",
        "?digest=md5:0cc175b9c0f1b6a831c399e269772661",
        "?digest=%00",
        "?digest=%ff",
    ],
)
def test_a_digest_that_is_none_is_refused_and_the_session_lives(client: Client, name: str, query: str) -> None:
    location = client.begin(name)
    client.ask("PUT", location + query, body=b"content").expect(400)
    client.ask("PUT", f"{location}?digest={digest(b'content')}", body=b"content").expect(201)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("span", ["0-99", "1000-1099", "1000-1000", "0-999"])
def test_a_range_of_a_chunk_that_has_no_bytes_is_refused_and_the_session_lives(
    client: Client, name: str, method: str, span: str
) -> None:
    content = os.urandom(1000)
    location = client.begin(name)
    client.ask("PATCH", location, body=content).expect(202)
    target = f"{location}?digest={digest(content)}" if method == "PUT" else location
    assert client.ask(method, target, [("Content-Range", span)], b"").expect(400).codes() == ["SIZE_INVALID"]
    assert client.get(location).expect(204).need("Range") == "0-999"
    client.ask("PUT", f"{location}?digest={digest(content)}").expect(201)


def test_a_digest_may_stand_twice_but_not_two_digests(client: Client, name: str) -> None:
    right, other = digest(b"content"), digest(b"other")
    location = client.begin(name)
    client.ask("PUT", f"{location}?digest={right}&digest={other}", body=b"content").expect(400)
    client.ask("PUT", f"{location}?digest={right}&digest={right}", body=b"content").expect(201)
    check_blob(client, name, b"content")


# --- the life of a session


def test_an_empty_session_stands_at_nothing(client: Client, name: str) -> None:
    answer = client.ask("POST", f"/v2/{name}/blobs/uploads/").expect(202)
    assert answer.need("Range") == "0-0"
    location = answer.need("Location")
    assert location == f"/v2/{name}/blobs/uploads/{answer.need('Docker-Upload-UUID')}"
    status = client.get(location).expect(204)
    assert status.need("Range") == "0--1"
    assert status.need("Location") == location


@pytest.mark.parametrize("body", [b"bytes", b"bytes" * 10_000])
def test_a_cancelled_session_is_gone_with_its_bytes(client: Client, server: Server, name: str, body: bytes) -> None:
    location = client.begin(name)
    client.ask("PATCH", location, body=body).expect(202)
    file = server.root / "uploads" / location.rpartition("/")[2]
    if len(body) > SMALL:
        assert file.read_bytes() == body
    client.ask("DELETE", location).expect(204)
    assert not file.exists()
    for method in ("GET", "PATCH", "DELETE"):
        assert client.ask(method, location).expect(404).codes() == ["BLOB_UPLOAD_UNKNOWN"]
    client.ask("PUT", f"{location}?digest={digest(body)}").expect(404)


def test_a_finished_session_is_gone(client: Client, name: str) -> None:
    location = client.begin(name)
    target = f"{location}?digest={digest(b'content')}"
    client.ask("PUT", target, body=b"content").expect(201)
    client.ask("PUT", target, body=b"content").expect(404)
    client.get(location).expect(404)
    check_blob(client, name, b"content")


def test_a_session_belongs_to_its_repository(client: Client, name: str) -> None:
    location = client.begin(name)
    elsewhere = location.replace(name, f"{name}/other")
    client.get(elsewhere).expect(404)
    client.ask("PATCH", elsewhere, body=b"bytes").expect(404)
    client.ask("PUT", f"{elsewhere}?digest={digest(b'')}").expect(404)
    client.ask("DELETE", elsewhere).expect(404)
    assert client.get(location).expect(204).need("Range") == "0--1"


@pytest.mark.parametrize("key", ["..", "%2e%2e", "a", "%00", "x" * 5000, "00000000-0000-0000-0000-000000000000", "*"])
def test_a_session_that_never_was(client: Client, name: str, key: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        client.ask(method, f"/v2/{name}/blobs/uploads/{key}").expect(404)
    client.ask("PUT", f"/v2/{name}/blobs/uploads/{key}?digest={digest(b'')}").expect(404)


# --- mounts


@pytest.mark.parametrize("origin", [True, False])
def test_a_mount(client: Client, name: str, origin: bool) -> None:
    content = os.urandom(1000)
    found = client.push_blob(f"{name}/source", content)
    query = f"?mount={found}" + (f"&from={name}/source" if origin else "")
    answer = client.ask("POST", f"/v2/{name}/blobs/uploads/{query}").expect(201)
    assert answer.need("Location") == f"/v2/{name}/blobs/{found}"
    check_blob(client, name, content)


@pytest.mark.parametrize("source", ["other", "No/Such/Name", "..", "%00", "{name}"])
def test_a_mount_that_is_not_possible_opens_a_session(client: Client, name: str, source: str) -> None:
    content = os.urandom(1000)
    client.push_blob(f"{name}/elsewhere", content)
    query = f"?mount={digest(content)}&from={source.format(name=name)}"
    answer = client.ask("POST", f"/v2/{name}/blobs/uploads/{query}").expect(202)
    client.get(f"/v2/{name}/blobs/{digest(content)}").expect(404)
    client.ask("PUT", f"{answer.need('Location')}?digest={digest(content)}", body=content).expect(201)
    check_blob(client, name, content)


def test_a_mount_of_no_digest_opens_a_session(client: Client, name: str) -> None:
    client.ask("POST", f"/v2/{name}/blobs/uploads/?mount=latest&from={name}").expect(202)


# --- other workers, and restarts


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_session_goes_on_in_another_worker(both: list[Link], client: Client, name: str, algorithm: str) -> None:
    content = os.urandom(5 * 300_000)
    turn = cycle(both)
    location = next(turn).ask("POST", f"/v2/{name}/blobs/uploads/").expect(202).need("Location")
    for at in range(0, len(content), 300_000):
        chunk = [("Content-Range", f"{at}-{at + 299_999}")]
        next(turn).ask("PATCH", location, chunk, content[at : at + 300_000]).expect(202)
        assert next(turn).ask("GET", location).expect(204).need("Range") == f"0-{at + 299_999}"
        next(turn)
    next(turn).ask("PUT", f"{location}?digest={digest(content, algorithm)}").expect(201)
    check_blob(client, name, content, algorithm)
    for link in both:
        link.ask("GET", location).expect(404)


def test_what_one_worker_deletes_is_gone_in_the_other(both: list[Link], name: str) -> None:
    first, second = both
    for _ in range(20):
        location = first.ask("POST", f"/v2/{name}/blobs/uploads/").expect(202).need("Location")
        second.ask("PUT", f"{location}?digest={digest(b'{}')}", body=b"{}").expect(201)
        target = f"/v2/{name}/blobs/{digest(b'{}')}"
        manifest = f"/v2/{name}/manifests/v1"
        first.ask("GET", target).expect(200)
        second.ask("PUT", manifest, [("Content-Type", OCI_MANIFEST)], image(b"{}")).expect(201)
        first.ask("GET", manifest).expect(200)
        second.ask("DELETE", manifest).expect(202)
        first.ask("GET", manifest).expect(404)
        second.ask("DELETE", target).expect(202)
        first.ask("GET", target).expect(404)
        first.ask("HEAD", target).expect(404)


def test_a_session_survives_the_death_of_its_worker(serve: Serve, name: str) -> None:
    server = serve(clean=False)
    content = os.urandom(400_000)
    links = one_each(server)
    victim = next(iter(links))
    location = links[victim].ask("POST", f"/v2/{name}/blobs/uploads/").expect(202).need("Location")
    links[victim].ask("PATCH", location, body=content[:300_000]).expect(202)
    os.kill(victim, signal.SIGKILL)
    survivor = next(link for pid, link in links.items() if pid != victim)
    survivor.ask("PATCH", location, [("Content-Range", "300000-399999")], content[300_000:]).expect(202)
    wait_until(lambda: len(server.workers()) == 2 and victim not in server.workers())
    with Client(server) as client:
        wait_until(lambda: client.get("/readyz").status == 200)
        client.ask("PUT", f"{location}?digest={digest(content)}").expect(201)
        check_blob(client, name, content)
    for link in links.values():
        link.close()


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_session_goes_on_after_everything_was_killed(serve: Serve, name: str, algorithm: str) -> None:
    server = serve()
    content = os.urandom(2_000_000)
    with Client(server) as client:
        location = client.begin(name)
        client.ask("PATCH", location, body=content[:1_200_000]).expect(202)
        complete = client.begin(name)
        client.ask("PATCH", complete, body=content).expect(202)
        pushed = client.push_image(f"{name}/image", "v1", content[:1000])
    server.kill()
    server.start()
    with Client(server) as client:
        assert client.get(location).expect(204).need("Range") == "0-1199999"
        client.ask("PATCH", location, [("Content-Range", "0-9")], content[:10]).expect(416)
        client.ask("PATCH", location, [("Content-Range", "1200000-1999999")], content[1_200_000:]).expect(202)
        client.ask("PUT", f"{location}?digest={digest(content, algorithm)}").expect(201)
        check_blob(client, name, content, algorithm)
        client.ask("PUT", f"{complete}?digest={digest(content, algorithm)}").expect(201)
        assert client.get(f"/v2/{name}/image/manifests/v1").expect(200).need("Docker-Content-Digest") == pushed


def test_bytes_that_no_answer_acknowledged_are_reported_as_they_lie_on_disk(serve: Serve, name: str) -> None:
    server = serve()
    content = os.urandom(3_000_000)
    with Client(server) as client:
        location = client.begin(name)
    head = f"PATCH {location} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    file = server.root / "uploads" / location.rpartition("/")[2]
    with Link(server.connect()) as link:
        link.send(head + content[:2_000_000])
        wait_until(lambda: file.exists() and file.stat().st_size > 0)
        server.kill()
    server.start()
    with Client(server) as client:
        offset = int(client.get(location).expect(204).need("Range")[2:]) + 1
        assert offset == file.stat().st_size
        assert content.startswith(file.read_bytes())
        client.ask("PATCH", location, body=content[offset:]).expect(202)
        client.ask("PUT", f"{location}?digest={digest(content)}").expect(201)
        check_blob(client, name, content)
