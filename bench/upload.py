"""Put blobs and images into a registry, and check that what comes back is what went in."""

from __future__ import annotations

import hashlib
import time

from bench.errors import BenchError
from bench.files import ACCEPT, OCI_MANIFEST, Blob, Image, sha256
from bench.wire import Answer, Connection, build, expect, find_header, location, with_digest

STREAM_HEADERS = "Content-Type: application/octet-stream\r\n"


def put_manifest(connection: Connection, repository: str, reference: str, body: bytes) -> Answer:
    """PUT an OCI image manifest under a tag or a digest; it must be created (201)."""
    headers = f"Content-Type: {OCI_MANIFEST}\r\n"
    request = build("PUT", f"/v2/{repository}/manifests/{reference}", connection.at, headers, body)
    return expect(connection.ask(request), 201, f"PUT manifest {repository}:{reference}")


def push_blob(connection: Connection, repository: str, digest: str, data: bytes) -> None:
    """One blob as docker pushes it: HEAD (unknown), POST, PATCH (chunked, of unknown length), PUT without a body."""
    at, blobs = connection.at, f"/v2/{repository}/blobs/"
    known = connection.ask(build("HEAD", blobs + digest, at), bodyless=True).status
    if known == 200:
        return
    if known != 404:
        raise BenchError(f"HEAD {blobs}{digest}: {known}")
    started = expect(connection.ask(build("POST", blobs + "uploads/", at)), 202, "POST uploads/")
    head = build("PATCH", location(started, "POST"), at, STREAM_HEADERS + "Transfer-Encoding: chunked\r\n", None)
    sent = connection.ask(b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, len(data), data))
    ended = with_digest(location(expect(sent, 202, "PATCH"), "PATCH"), digest)
    expect(connection.ask(build("PUT", ended, at)), 201, "PUT blob")


def push_image(connection: Connection, repository: str, tag: str, image: Image) -> None:
    """An image: its blobs one after the other, then its manifest under the tag."""
    for data in image.blobs:
        push_blob(connection, repository, sha256(data), data)
    put_manifest(connection, repository, tag, image.manifest)


def start_upload(connection: Connection, repository: str) -> str:
    """Begin an upload session; returns where its bytes go."""
    answer = connection.ask(build("POST", f"/v2/{repository}/blobs/uploads/", connection.at))
    return location(expect(answer, 202, "POST uploads/"), "POST uploads/")


def patch_file(connection: Connection, path: str, content: memoryview) -> tuple[float, str]:
    """Stream a body of known length in one PATCH; returns the seconds it took and where to go on."""
    headers = f"{STREAM_HEADERS}Content-Length: {len(content)}\r\n"
    head = build("PATCH", path, connection.at, headers, None)
    begin = time.perf_counter()
    connection.socket.sendall(head)
    connection.socket.sendall(content)
    answer = connection.answer()
    took = time.perf_counter() - begin
    return took, location(expect(answer, 202, "PATCH"), "PATCH")


def finish_upload(connection: Connection, path: str, digest: str) -> None:
    """End an upload session with the digest of its bytes."""
    expect(connection.ask(build("PUT", with_digest(path, digest), connection.at)), 201, "PUT blob")


def push_file(connection: Connection, repository: str, blob: Blob) -> float:
    """A large blob: POST, one PATCH, PUT; returns the seconds of the PATCH alone."""
    content = memoryview(blob.path.read_bytes())
    took, ended = patch_file(connection, start_upload(connection, repository), content)
    finish_upload(connection, ended, blob.digest)
    return took


def drain(connection: Connection, path: str, size: int, buffer: bytearray) -> float:
    """GET a blob into one reused buffer, throwing the bytes away; returns the seconds from request to last byte."""
    begin = time.perf_counter()
    connection.socket.sendall(build("GET", path, connection.at))
    got = _body_start(connection, path, size)
    receive = connection.socket.recv_into
    while got < size:
        count = receive(buffer)
        if not count:
            raise BenchError(f"GET {path}: {size - got} bytes missing")
        got += count
    if got != size:
        raise BenchError(f"GET {path}: {got - size} bytes too many")
    return time.perf_counter() - begin


def _body_start(connection: Connection, path: str, size: int) -> int:
    """Read the head of a 200 of exactly `size` bytes; returns how much of the body came with it."""
    head, rest = connection.head()
    if head[9:12] != b"200" or find_header(head, b"content-length") != str(size).encode():
        raise BenchError(f"GET {path}: not a 200 of {size} bytes: {head[:300]!r}")
    return len(rest)


def check_blob(connection: Connection, path: str, size: int, digest: str) -> None:
    """GET a blob and hash it. Raises BenchError for wrong bytes."""
    connection.socket.sendall(build("GET", path, connection.at))
    head, rest = connection.head()
    if head[9:12] != b"200":
        raise BenchError(f"GET {path}: {head[:300]!r}")
    hashed, got = hashlib.sha256(rest), len(rest)
    while got < size:
        piece = connection.socket.recv(min(1 << 20, size - got))
        if not piece:
            raise BenchError(f"GET {path}: {size - got} bytes missing")
        hashed.update(piece)
        got += len(piece)
    if "sha256:" + hashed.hexdigest() != digest:
        raise BenchError(f"GET {path}: wrong bytes")


def check_manifest(connection: Connection, repository: str, tag: str, body: bytes) -> None:
    """GET a manifest by tag and compare it. Raises BenchError for other bytes."""
    request = build("GET", f"/v2/{repository}/manifests/{tag}", connection.at, f"{ACCEPT}\r\n")
    if expect(connection.ask(request), 200, "GET manifest").body != body:
        raise BenchError(f"GET manifest {repository}:{tag}: not the bytes that were pushed")
