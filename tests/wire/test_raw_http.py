"""Requests that two programs could read differently, and those that are simply too much, byte by byte (wire.md 3.7)."""

from __future__ import annotations

import re

import pytest

from tests.support.raw_requests import AMBIGUOUS, BROKEN_CHUNKS, GET, INNER, POST
from tests.support.server import Server
from tests.support.wire import Client, Link, digest, image
from tests.support.workers import cpu_seconds


def answers(received: bytes) -> list[int]:
    """The statuses of all answers in a stream whose bodies have no status lines in them."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_the_connection_closed(link: Link, case: str) -> None:
    link.send(AMBIGUOUS[case])
    received = link.rest()
    assert answers(received) in ([400], [501], [505]), received[:300]
    assert b"smuggled" not in received


@pytest.mark.parametrize(
    "lines", [("Content-Length: 4", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 4")]
)
def test_length_and_chunked_together_end_the_connection(link: Link, lines: tuple[str, str]) -> None:
    link.send(POST + "\r\n".join(lines).encode() + b"\r\n\r\n0\r\n\r\n" + INNER)
    received = link.rest()
    # RFC 9112 section 6.1 leaves it open whether to refuse it, but the connection must end there.
    assert answers(received) in ([400], [202]), received[:300]
    assert b"smuggled" not in received


def test_a_coding_that_nobody_decodes_is_refused(link: Link) -> None:
    link.send(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + INNER)
    assert answers(link.rest()) in ([400], [501])


@pytest.mark.parametrize("case", BROKEN_CHUNKS)
def test_a_broken_chunk_ends_the_request_and_none_of_what_follows_is_a_request(
    client: Client, link: Link, name: str, case: str
) -> None:
    location = client.begin(name)
    head = f"PATCH {location} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    link.send(head + BROKEN_CHUNKS[case] + INNER)
    received = link.rest()
    assert answers(received) == [400], received[:300]
    client.get(location).expect(204)


def test_two_hosts_are_refused(link: Link) -> None:
    link.send(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + INNER)
    assert answers(link.rest()) == [400]  # RFC 9112 section 3.2


@pytest.mark.parametrize(
    "line", ["", "Host:\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: a:b\r\n", "Host: u@a\r\n", 'Host: "a\r\n']
)
@pytest.mark.parametrize("target", ["/v2/", "/readyz", "/nothing"])
def test_no_host_or_one_that_is_none_is_refused(link: Link, target: str, line: str) -> None:
    link.send(f"GET {target} HTTP/1.1\r\n{line}\r\n".encode() + INNER)
    assert answers(link.rest()) == [400]  # RFC 9112 section 3.2


@pytest.mark.parametrize(
    "host", ["a", "a.test:", "under_score.test:5000", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443"]
)
def test_hosts_of_every_kind_are_understood(link: Link, host: str) -> None:
    link.send(f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    link.answer().expect(200)


def test_http_1_0_without_host_is_served_and_closed(link: Link) -> None:
    link.send(b"GET /v2/ HTTP/1.0\r\n\r\n")
    assert answers(link.rest()) == [200]


def test_an_absolute_address_is_the_address(link: Link) -> None:
    answer = link.ask("GET", "http://elsewhere.test/v2/")
    assert answer.expect(200).body == b"{}"


@pytest.mark.parametrize("size", [64 * 1024, 512 * 1024, 1 << 20, 8 << 20])
def test_large_credentials_are_refused_at_once(server: Server, link: Link, size: int) -> None:
    began = cpu_seconds(server)
    answer = link.ask("GET", "/v2/", [("Authorization", "Bearer " + "a" * size)])
    assert answer.status in {400, 401, 431}
    assert cpu_seconds(server) - began < 0.5


def test_a_thousand_headers_are_refused(link: Link) -> None:
    assert link.ask("GET", "/v2/", [(f"X-{number}", "a") for number in range(1000)]).status in {400, 431}


def test_a_long_address_is_refused(link: Link) -> None:
    assert link.ask("GET", "/v2/" + "a" * 100_000 + "/tags/list").status in {400, 414}


def test_an_address_of_8_kilobytes_is_understood(link: Link) -> None:
    query = "&".join(["artifactType=application/vnd.test.kind"] * 150)
    link.ask("GET", f"/v2/raw/referrers/sha256:{'0' * 64}?{query}").expect(200)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/a%2Fb/tags/list", 404),  # the same repository as a/b
        ("/v2/a%2fb%2Ftags%2flist", 404),
        ("/v2/%61/tags/list", 404),
        ("/v2/%00/tags/list", 400),
        ("/v2/a%00b/tags/list", 400),
        ("/v2/a%0d%0aX-Injected:%201/tags/list", 400),
        ("/v2/a%0a/tags/list", 400),
        ("/v2/%ff%fe/tags/list", 400),
        ("/v2/%zz/tags/list", 400),
        ("/v2/a%/tags/list", 400),
        ("/v2/%252e%252e/tags/list", 400),
        ("/v2/../../../etc/passwd", 404),
        ("/v2/..%2f..%2f..%2fetc%2fpasswd", 404),
        ("/v2/a/blobs/..%2f..%2f..%2f..%2fetc%2fpasswd", 404),
        ("/v2/a/manifests/%2e%2e", 404),
        ("/v2/a/blobs/uploads/..%2f..%2fmoorage.db", 404),
        ("/v2/a/blobs/uploads/%2e%2e", 404),
        ("/v2//tags/list", 400),
        ("/v2/a//b/tags/list", 400),
        ("/v2/" + "a" * 256 + "/tags/list", 400),
        ("//v2/", 404),
        ("/v2/\u00e4".encode().decode("latin-1") + "/tags/list", 400),
        ("/index.html", 404),
        ("/v1/_ping", 404),
        ("/v2/_catalog/", 404),
        ("/v3/", 404),
    ],
)
def test_a_strange_path_has_a_plain_answer(link: Link, path: str, status: int) -> None:
    answer = link.ask("GET", path)
    assert answer.codes()
    answer.expect(status)
    assert answer.header("X-Injected") is None
    assert b"root:" not in answer.body


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "FOO", "get", "G-E_T"])
def test_other_methods_are_refused_with_what_is_allowed(link: Link, method: str) -> None:
    answer = link.ask(method, "/v2/")
    assert answer.status in {404, 405} if method == "CONNECT" else answer.status == 405
    if answer.status == 405:
        assert answer.codes() == ["UNSUPPORTED"]
        assert answer.need("Allow") == "GET, HEAD"


def test_pipelined_requests_are_answered_in_order(client: Client, link: Link, name: str) -> None:
    blobs = [client.push_blob(name, f"blob {number}".encode() * 5000) for number in range(6)]
    link.send(b"".join(f"GET /v2/{name}/blobs/{blob} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for blob in blobs))
    for number, blob in enumerate(blobs):
        answer = link.answer().expect(200)
        assert answer.need("Docker-Content-Digest") == blob
        assert answer.body == f"blob {number}".encode() * 5000


def test_a_pipelined_request_after_a_body_is_answered(client: Client, link: Link, name: str) -> None:
    location = client.begin(name)
    link.send(f"PATCH {location} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".encode() + GET + b"\r\n")
    link.answer("PATCH").expect(202)
    assert link.answer().expect(200).body == b"{}"


def test_head_has_the_headers_of_get_and_no_body(client: Client, link: Link, name: str) -> None:
    blob = client.push_blob(name, b"content" * 1000)
    client.push_blob(name, b"{}")
    empty = client.push_blob(name, b"")
    manifest = image(b"{}", b"content" * 1000)
    client.push_manifest(name, "v1", manifest).expect(201)
    targets = {
        "/v2/": 2,
        f"/v2/{name}/blobs/{blob}": 7000,
        f"/v2/{name}/blobs/{empty}": 0,
        f"/v2/{name}/manifests/v1": len(manifest),
        f"/v2/{name}/manifests/{digest(manifest)}": len(manifest),
    }
    for target, size in targets.items():
        head = link.ask("HEAD", target).expect(200)
        assert head.need("Content-Length") == str(size)
        get = link.ask("GET", target).expect(200)
        assert len(get.body) == size
        assert not link.chunked
        ours = {key: value for key, value in head.headers if key not in {"date", "cache-control"}}
        theirs = {key: value for key, value in get.headers if key not in {"date", "cache-control"}}
        assert ours == theirs


def test_head_works_wherever_get_does(client: Client, link: Link, name: str) -> None:
    client.push_image(name, "v1", b"layer")
    client.push_manifest(name, "v2", image(b"{}")).expect(201)
    targets = [
        "/v2/_catalog?n=1",
        "/v2/_oci/ext/discover",
        f"/v2/{name}/_oci/ext/discover",
        f"/v2/{name}/tags/list",
        f"/v2/{name}/tags/list?n=1",
        f"/v2/{name}/referrers/{digest(b'x')}?artifactType=a",
        client.begin(name),
    ]
    for target in targets:
        head, get = link.ask("HEAD", target), link.ask("GET", target)
        assert (head.status, head.body) == (get.status, b"")
        ours, theirs = ({key: value for key, value in one.headers if key != "date"} for one in (head, get))
        assert ours == theirs
        assert get.status == 204 or int(head.need("Content-Length")) == len(get.body)
    for absent in ("tags/list", f"blobs/uploads/{'0' * 8}-0000-0000-0000-{'0' * 12}"):
        link.ask("HEAD", f"/v2/{name}/none/{absent}").expect(404)


def test_head_of_what_is_absent_has_no_body_either(link: Link, name: str) -> None:
    link.send(f"HEAD /v2/{name}/manifests/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head, _, body = link.rest().partition(b"\r\n\r\n")
    assert answers(head + b" ") == [404]
    assert body == b""


def test_nothing_is_ever_compressed_or_chunked(client: Client, link: Link, name: str) -> None:
    found = client.push_image(name, "v1", b"layer" * 10_000)
    for target in (f"manifests/{found}", f"blobs/{digest(b'layer' * 10_000)}", "tags/list"):
        answer = link.ask("GET", f"/v2/{name}/{target}", [("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5")])
        answer.expect(200)
        assert not link.chunked
        assert answer.header("Content-Encoding") is None
        assert int(answer.need("Content-Length")) == len(answer.body)


def test_a_connection_serves_many_requests(link: Link) -> None:
    for _ in range(300):
        assert link.ask("GET", "/v2/").expect(200).body == b"{}"


def test_a_connection_is_closed_on_request(link: Link) -> None:
    link.ask("GET", "/v2/", [("Connection", "close")]).expect(200)
    assert link.ended()


def test_a_connection_goes_on_after_an_error(link: Link, name: str) -> None:
    for _ in range(20):
        link.ask("GET", f"/v2/{name}/manifests/none").expect(404)
        link.ask("PUT", f"/v2/{name}/manifests/none", body=b"not json").expect(400)
        link.ask("POST", f"/v2/{name}/blobs/uploads/?digest=nonsense", body=b"some bytes").expect(400)
    assert link.ask("GET", "/v2/").expect(200).body == b"{}"


@pytest.mark.parametrize("header", ["X-Request-Id: a\tb", "X-Request-Id: " + "a" * 500, 'X-Request-Id: "\\u000a'])
def test_a_foreign_request_id_that_is_unfit_is_replaced(link: Link, header: str) -> None:
    link.send(f"GET /v2/none/tags/list HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n".encode())
    assert re.fullmatch(r"[0-9a-f]{24,}", link.answer().expect(404).need("X-Request-Id"))


def test_every_answer_of_the_api_says_which_api_it_is(client: Client, server: Server, name: str) -> None:
    for method, target in (("GET", "/v2/"), ("GET", f"/v2/{name}/tags/list"), ("PATCH", "/v2/"), ("GET", "/v2/x/y")):
        answer = client.ask(method, target)
        assert answer.header("Docker-Distribution-Api-Version") == "registry/2.0"
        assert answer.header("X-Content-Type-Options") == "nosniff"
