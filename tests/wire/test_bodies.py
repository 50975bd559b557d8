"""Bodies that are refused, broken off, dribbled or not read: what the client sees, and what the server keeps."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.wire import Client, Link, digest, request, wait_until

MIB = 1 << 20
SERVER = {"config": {"version": "0.1", "storage": {"delete": {"enabled": True}}, "http": {"bodyidletimeout": "1s"}}}


@pytest.fixture(scope="module")
def large(server: Server) -> tuple[str, bytes]:
    """A blob that fits no socket's buffers: its address and its bytes."""
    content = os.urandom(MIB) * 20
    with Client(server) as client:
        found = client.push_blob("bodies/large", content)
    return f"/v2/bodies/large/blobs/{found}", content


def stored(server: Server, location: str) -> int:
    """Bytes of a session's file on disk; 0 where there is none."""
    file = server.root / "uploads" / location.rpartition("/")[2]
    return file.stat().st_size if file.exists() else 0


def held(client: Client, location: str) -> int:
    """How many bytes the session says it holds."""
    found = client.get(location).expect(204).need("Range")
    assert found.startswith("0-"), found
    return int(found[2:]) + 1


# --- Expect: 100-continue


def test_a_body_is_asked_for_when_it_is_wanted(client: Client, link: Link, name: str) -> None:
    location = client.begin(name)
    head = request("PUT", f"{location}?digest={digest(b'hello')}", [("Expect", "100-continue")], b"hello")
    link.send(head[: -len(b"hello")])
    wait_until(lambda: link.socket.recv(25, 0x2).startswith(b"HTTP/1.1 100"))  # MSG_PEEK
    link.send(b"hello")
    link.answer("PUT").expect(201)
    assert link.informational == [100]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("PATCH", "/v2/refused/blobs/uploads/00000000-0000-0000-0000-000000000000", 404),
        ("PUT", "/v2/refused/blobs/uploads/00000000-0000-0000-0000-000000000000?digest=sha256:" + "0" * 64, 404),
        ("PUT", "/v2/refused/manifests/latest", 413),
        ("PUT", "/v2/Refused/manifests/latest", 400),
        ("POST", "/v2/", 405),
        ("PUT", "/nothing/here", 404),
    ],
)
@pytest.mark.parametrize("expect", [False, True])
def test_a_refusal_is_read_although_the_body_is_large(
    link: Link, method: str, target: str, status: int, expect: bool
) -> None:
    headers = [("Expect", "100-continue")] if expect else []
    body = b"x" * (64 * MIB)
    began = time.monotonic()
    if expect:
        link.send(request(method, target, headers, body)[: -len(body)])
        answer = link.answer(method, target)
        assert link.informational == []
    else:
        answer = link.ask(method, target, headers, body)
    assert answer.expect(status).codes()
    assert time.monotonic() - began < 20
    assert link.ended(), "what follows a body that was not read cannot be told from it"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "target", [f"blobs/uploads/00000000-0000-0000-0000-000000000000?digest={digest(b'')}", "manifests/latest"]
)
def test_a_client_that_sends_all_of_it_first_sees_the_refusal(
    server: Server, name: str, target: str, chunked: bool
) -> None:
    whole = request("PUT", f"/v2/{name}/{target}", body=b"x" * (30 * MIB), chunked=chunked)
    for _ in range(5):
        with Link(server.connect()) as link:
            link.send(whole)  # a closed connection would be an error here
            assert link.answer("PUT").expect(404, 413).codes()
            assert link.ended()


def test_a_refused_body_without_end_is_not_taken_for_ever(link: Link) -> None:
    link.send(b"PUT /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + b" " * MIB + b"\r\n"
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        link.send(piece * 200)


@pytest.mark.parametrize("size", [1000, 60_000, 900_000])
def test_the_connection_goes_on_after_a_small_refused_body(link: Link, size: int) -> None:
    for _ in range(5):
        answer = link.ask("PUT", "/v2/Refused/manifests/latest", body=b"x" * size)
        assert answer.expect(400).codes() == ["NAME_INVALID"]


def test_a_manifest_in_chunks_is_refused_as_soon_as_it_is_too_long(link: Link, name: str) -> None:
    link.send(f"PUT /v2/{name}/manifests/v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    piece = b"100000\r\n" + b" " * MIB + b"\r\n"
    sent = 0
    with suppress(OSError):
        for _ in range(64):
            link.send(piece)
            sent += 1
    assert link.answer("PUT").expect(413).codes() == ["MANIFEST_INVALID"]
    assert sent < 64, "the server took all of it"


# --- a client that goes away


@pytest.mark.parametrize("abrupt", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_patch_that_breaks_off_leaves_an_offset_from_which_the_upload_ends_well(
    server: Server, client: Client, name: str, abrupt: bool, chunked: bool
) -> None:
    content = os.urandom(8 * MIB)
    location = client.begin(name)
    whole = request("PATCH", location, body=content, chunked=chunked)
    broken = Link(server.connect())
    broken.send(whole[: len(whole) // 2])
    if abrupt:
        wait_until(lambda: stored(server, location) > MIB)
        broken.abort()
    else:
        broken.close()
    wait_until(lambda: held(client, location) == stored(server, location) > 0 and not busy(client, location))
    offset = held(client, location)
    assert offset == stored(server, location) <= len(whole) // 2
    if not abrupt and not chunked:
        assert offset == len(whole) // 2 - (len(whole) - len(content)), "what arrived in order was thrown away"
    chunk = [("Content-Range", f"{offset}-{len(content) - 1}")]
    client.ask("PATCH", location, chunk, content[offset:]).expect(202)
    client.ask("PUT", f"{location}?digest={digest(content)}").expect(201)
    assert client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200).body == content


def busy(client: Client, location: str) -> bool:
    """Whether another request still has the session: an empty chunk at its end changes nothing."""
    return client.ask("PATCH", location, body=b"").status == 409


def test_a_manifest_that_breaks_off_is_not_there(server: Server, client: Client, name: str) -> None:
    for abrupt in (False, True):
        broken = Link(server.connect())
        broken.send(request("PUT", f"/v2/{name}/manifests/v1", body=b"{" + b" " * 100_000)[:50_000])
        broken.abort() if abrupt else broken.close()
    time.sleep(0.2)
    client.get(f"/v2/{name}/manifests/v1").expect(404)


def test_a_put_of_a_blob_that_breaks_off_can_be_taken_up(server: Server, client: Client, name: str) -> None:
    content = os.urandom(2 * MIB)
    location = client.begin(name)
    broken = Link(server.connect())
    broken.send(request("PUT", f"{location}?digest={digest(content)}", body=content)[:MIB])
    broken.close()
    wait_until(lambda: held(client, location) > 0 and not busy(client, location))
    offset = held(client, location)
    client.get(f"/v2/{name}/blobs/{digest(content)}").expect(404)
    # regclient uses the same Location again, the digest in it.
    target = f"{location}?digest={digest(content)}&digest={digest(content)}"
    client.ask("PUT", target, [("Content-Range", f"{offset}-{len(content) - 1}")], content[offset:]).expect(201)
    assert client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200).body == content


POOLED = 32
"""Connections to PostgreSQL that two workers may have made in the meantime, where the facts are there."""


def descriptors(server: Server) -> int:
    """Open file descriptors of all workers."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in server.workers())


def test_clients_that_leave_in_the_middle_of_a_blob_cost_nothing(server: Server, large: tuple[str, bytes]) -> None:
    before, log = descriptors(server), len(server.log())
    for number in range(60):
        leaving = Link(server.connect())
        leaving.send(request("GET", large[0], [("Range", "bytes=1000-")] if number % 2 else []))
        leaving.socket.recv(10_000)
        leaving.abort() if number % 3 else leaving.close()
    wait_until(lambda: descriptors(server) <= before)
    with Client(server) as client:
        client.get("/v2/").expect(200)
    said = server.log()[log:]
    assert "request failed" not in said
    assert "error" not in said.lower().replace("Broken pipe", "")


def test_two_hundred_aborted_uploads_leave_no_descriptor_open(server: Server, client: Client, name: str) -> None:
    client.push_blob(name, b"warm up")
    before = descriptors(server)
    for _ in range(100):
        location = client.begin(name)
        broken = Link(server.connect())
        broken.send(request("PATCH", location, body=b"x" * 100_000)[:60_000])
        broken.abort()
        client.ask("PATCH", location, [("Content-Range", "77-99")], b"x" * 23)  # 416, or 409 while the other lives
    wait_until(lambda: descriptors(server) <= before + (POOLED if server.database else 0))


# --- slowness


def test_slow_readers_get_all_of_it_and_hold_nobody_up(server: Server, large: tuple[str, bytes]) -> None:
    target, content = large
    links = [Link(server.connect()) for _ in range(24)]
    for each in links:
        each.send(request("GET", target))
        each.head().expect(200)
    memory = max(resident(pid) for pid in server.workers())
    with Client(server) as client:
        for _ in range(50):
            client.get("/v2/").expect(200)  # would wait for ever behind those, who read nothing before it is answered
    assert memory < 150 * MIB
    wanted = digest(content)
    with ThreadPoolExecutor(8) as pool:
        for body in pool.map(lambda each: digest(each._exactly(len(content))), links):
            assert body == wanted
    for each in links:
        each.close()


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_stands_still_is_given_up_and_can_be_taken_up(
    server: Server, client: Client, name: str, chunked: bool
) -> None:
    content = os.urandom(200_000)
    location = client.begin(name)
    whole = request("PATCH", location, body=content, chunked=chunked)
    with Link(server.connect()) as slow:
        began = time.monotonic()  # before it is sent: the server counts from when it comes
        slow.send(whole[: len(whole) // 2])
        answer = slow.answer("PATCH").expect(408)
        assert answer.codes() == ["BLOB_UPLOAD_INVALID"]
        assert 0.8 < time.monotonic() - began < 20
        assert slow.ended()
    offset = held(client, location)
    assert offset == stored(server, location) > 0
    client.ask("PATCH", location, body=content[offset:]).expect(202)
    client.ask("PUT", f"{location}?digest={digest(content)}").expect(201)


def test_a_manifest_that_stands_still_is_given_up(server: Server, name: str) -> None:
    with Link(server.connect()) as slow:
        slow.send(request("PUT", f"/v2/{name}/manifests/v1", body=b"{" + b" " * 1000)[:-500])
        answer = slow.answer("PUT").expect(408)
        assert answer.codes() == ["MANIFEST_INVALID"]
        assert b"upload" not in answer.body
        assert slow.ended()


def test_a_body_that_comes_slowly_but_steadily_is_taken(client: Client, link: Link, name: str) -> None:
    location = client.begin(name)
    body = b"0123456789"
    whole = request("PUT", f"{location}?digest={digest(body)}", body=body)
    link.send(whole[: -len(body)])
    for at in range(len(body)):
        time.sleep(0.4)  # four times the limit in all
        link.send(body[at : at + 1])
    link.answer("PUT").expect(201)


def test_headers_that_do_not_end_are_given_up(server: Server) -> None:
    """Half-open ones are closed after 30 s; meanwhile, and with many of them, others are served."""
    links = [Link(server.connect()) for _ in range(300)]
    began = time.monotonic()
    for number, each in enumerate(links):
        each.send(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Slow: " if number % 2 else b"G")
    with Client(server) as client:
        for _ in range(20):
            client.get("/v2/").expect(200)
    assert time.monotonic() - began < 25, "others were served before the first was given up"
    for each in links:
        each.socket.settimeout(max(0.1, 60 - (time.monotonic() - began)))
        each.rest()  # a 408 or nothing, and then the end; TimeoutError where it stays open
        each.close()
    assert 25 < time.monotonic() - began < 60
