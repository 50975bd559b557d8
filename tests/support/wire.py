"""A connection to a registry that sends exactly the bytes it is told to, and reads answers strictly.

No header is added but `Host` and the framing of a body; nothing is retried, followed, decoded or hidden.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tests.conformance.client import Answer
from tests.support.secrets_used import note_header
from tests.support.server import Server

Headers = Sequence[tuple[str, str]]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = b"{}"
_PIECE = 65536


class Closed(Exception):
    """The server closed the connection where an answer was due; the message has what came before."""


class Link:
    """One connection, kept as long as the server keeps it.

    Attributes:
        socket: the connection itself.
        informational: statuses of the 1xx answers that came so far.
        chunked: whether the last answer's body came in chunks.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.informational: list[int] = []
        self.chunked = False
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(
        self, method: str, target: str, headers: Headers = (), body: bytes | None = None, *, chunked: bool = False
    ) -> Answer:
        """Send one request and read its answer. A broken pipe while sending is no error: the answer counts."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send(request(method, target, headers, body, chunked=chunked))
        return self.answer(method, target)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def answer(self, method: str = "GET", target: str = "") -> Answer:
        """Read one whole answer.

        Raises:
            Closed: the connection ended before the answer did.
            TimeoutError: nothing came for too long.
        """
        answer = self.head(method, target)
        return Answer(method, target, answer.status, answer.headers, self.body(answer))

    def head(self, method: str = "GET", target: str = "") -> Answer:
        """Read status and headers of the next answer, and none of its body."""
        while True:
            block = self._until(b"\r\n\r\n")
            first, *lines = block.decode("latin-1").split("\r\n")
            version, status, _ = [*first.split(" ", 2), ""][:3]
            assert version in {"HTTP/1.1", "HTTP/1.0"}, first
            headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
            if not status.startswith("1"):
                return Answer(method, target, int(status), headers, b"")
            self.informational.append(int(status))

    def body(self, answer: Answer) -> bytes:
        """Read the body that belongs to a head."""
        self.chunked = (answer.header("Transfer-Encoding") or "").lower() == "chunked"
        if answer.method == "HEAD" or answer.status in {204, 304}:
            return b""
        if self.chunked:
            return self._chunks()
        length = answer.header("Content-Length")
        return self._exactly(int(length)) if length is not None else self.rest()

    def rest(self) -> bytes:
        """Read all that comes until the server closes, an abrupt end included."""
        pieces = [self._buffer]
        self._buffer = b""
        with suppress(ConnectionResetError):
            while piece := self.socket.recv(_PIECE):
                pieces.append(piece)
        return b"".join(pieces)

    def ended(self, within: float = 5.0) -> bool:
        """Whether the server closes the connection within that time without sending more."""
        before = self.socket.gettimeout()
        self.socket.settimeout(within)
        try:
            return not self._buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(before)

    def abort(self) -> None:
        """Cut the connection by RST, as a crashed client's kernel does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close the connection in order."""
        self.socket.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        block, _, self._buffer = self._buffer.partition(mark)
        return block

    def _exactly(self, size: int) -> bytes:
        pieces = [self._buffer[:size]]
        self._buffer = self._buffer[size:]
        missing = size - len(pieces[0])
        while missing:
            piece = self.socket.recv(min(missing, 1 << 20))
            if not piece:
                raise Closed(f"{missing} of {size} bytes of the body are missing")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            found += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._until(b"\r\n") == b"", "trailers"
        return found

    def _more(self) -> None:
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise Closed(f"closed after {self._buffer[:200]!r}")
        self._buffer += piece


def request(
    method: str, target: str, headers: Headers = (), body: bytes | None = None, *, chunked: bool = False
) -> bytes:
    """One request as bytes; a body is announced by its length, or sent in chunks of different sizes."""
    for name, value in headers:
        if name.lower() == "authorization":
            note_header(value)
    lines = [f"{method} {target} HTTP/1.1", "Host: registry.test", *(f"{name}: {value}" for name, value in headers)]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + in_chunks(body or b"")
    if body is not None or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(body or b'')}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def in_chunks(body: bytes, sizes: Iterable[int] = (1, 7, 1000, 65536, 300_000)) -> bytes:
    """A body in chunked transfer coding, with its end; the last size goes on for the rest."""
    pieces, at, size = [], 0, 1
    wanted = iter(sizes)
    while at < len(body):
        size = next(wanted, size)
        piece = body[at : at + size]
        pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        at += size
    return b"".join(pieces) + b"0\r\n\r\n"


def digest(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of some content."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def image(config: bytes, *layers: bytes, **more: Any) -> bytes:
    """An image manifest of that content."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer) for layer in layers],
            **more,
        }
    ).encode()


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


class Client:
    """A registry's client for tests: the steps of pushing, over one connection that is opened anew where it was closed.

    Args:
        server: to talk to.
        headers: sent with every request, such as credentials.
    """

    def __init__(self, server: Server, headers: Headers = ()) -> None:
        self.server = server
        self._headers = tuple(headers)
        self._link: Link | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(
        self, method: str, target: str, headers: Headers = (), body: bytes | None = None, *, chunked: bool = False
    ) -> Answer:
        """One request and its answer; on a fresh connection where the server closed the last one."""
        link = self._link or Link(self.server.connect())
        self._link = None
        try:
            answer = link.ask(method, target, (*self._headers, *headers), body, chunked=chunked)
        except BaseException:
            link.close()
            raise
        if (answer.header("Connection") or "").lower() == "close" or (body and answer.status >= 400):
            link.close()
        else:
            self._link = link
        return answer

    def get(self, target: str, headers: Headers = ()) -> Answer:
        """GET."""
        return self.ask("GET", target, headers)

    def begin(self, name: str, query: str = "") -> str:
        """Open an upload session and return its address."""
        answer = self.ask("POST", f"{self.server.prefix}/v2/{name}/blobs/uploads/{query}")
        return answer.expect(202).need("Location")

    def push_blob(self, name: str, content: bytes, algorithm: str = "sha256") -> str:
        """Push a blob by POST and PUT; returns its digest."""
        found = digest(content, algorithm)
        self.ask("PUT", f"{self.begin(name)}?digest={found}", body=content).expect(201)
        return found

    def push_manifest(self, name: str, reference: str, manifest: bytes, kind: str = OCI_MANIFEST) -> Answer:
        """PUT a manifest."""
        target = f"{self.server.prefix}/v2/{name}/manifests/{reference}"
        return self.ask("PUT", target, [("Content-Type", kind)], manifest)

    def push_image(self, name: str, tag: str, *layers: bytes) -> str:
        """Push an image with these layers under a tag; returns the manifest's digest."""
        for content in (EMPTY, *layers):
            self.push_blob(name, content)
        return self.push_manifest(name, tag, image(EMPTY, *layers)).expect(201).need("Docker-Content-Digest")

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._link is not None:
            self._link.close()
            self._link = None


def wait_until(what: Any, within: float = 10.0, every: float = 0.05) -> None:
    """Wait until `what()` is true.

    Raises:
        AssertionError: it was not, in that time (seconds).
    """
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(every)
