"""A keep-alive HTTP/1.1 client made to cost little: prebuilt request bytes in, status and Location out.

It knows only what the measured routes answer (a `Content-Length`, or no body); anything else is an error and not a
guess.
"""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.errors import BenchError

_END = b"\r\n\r\n"
_READ = 1 << 16


class Address(NamedTuple):
    """Where a registry listens."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port`, as the Host header and URLs want it."""
        return f"{self.host}:{self.port}"

    def url(self, path: str) -> str:
        """The absolute URL of a path."""
        return f"http://{self.authority}{path}"


class Answer(NamedTuple):
    """One response: its status, its head as it came (status line and headers), and the body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header called `name` (lower case), or None."""
        return find_header(self.head, name)


def find_header(head: bytes, name: bytes) -> bytes | None:
    """The value of the first header called `name` (lower case) in the raw head of a response, or None."""
    start = head.lower().find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def build(method: str, path: str, at: Address, headers: str = "", body: bytes | None = b"") -> bytes:
    """The bytes of a request; `headers` are whole lines ending in CRLF.

    A `body` of None leaves the length out: the caller streams, and says how in `headers`.
    """
    length = f"Content-Length: {len(body)}\r\n" if body is not None and method not in ("GET", "HEAD") else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: {at.authority}\r\nUser-Agent: moorage-bench\r\n{length}{headers}\r\n"
    return head.encode() + (body or b"")


def path_of(location: bytes) -> str:
    """Path and query of a Location, absolute or relative."""
    parts = urlsplit(location.decode())
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class Connection:
    """One connection that is kept alive; blocking, not to be shared by threads."""

    def __init__(self, at: Address, timeout: float = 120.0) -> None:
        self.at = at
        self.socket = socket.create_connection(at, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def head(self) -> tuple[bytes, bytes]:
        """Read until the end of a response's head; returns it and what came after it."""
        data = self.socket.recv(_READ)
        while (end := data.find(_END)) < 0:
            more = self.socket.recv(_READ)
            if not more:
                raise BenchError(f"{self.at.authority} closed the connection, having sent {data[:200]!r}")
            data += more
        return data[: end + 2], data[end + 4 :]

    def ask(self, request: bytes, *, bodyless: bool = False) -> Answer:
        """Send a whole request and read its answer; `bodyless` is for HEAD.

        Raises BenchError when the connection ends early or the answer has no known length.
        """
        self.socket.sendall(request)
        return self.answer(bodyless=bodyless)

    def answer(self, *, bodyless: bool = False) -> Answer:
        """Read one answer to a request that was sent already."""
        head, body = self.head()
        status = int(head[9:12])
        if bodyless or status in (204, 304):
            return Answer(status, head, b"")
        length = find_header(head, b"content-length")
        if length is None:
            raise BenchError(f"{self.at.authority} answered without a length: {head[:300]!r}")
        missing = int(length) - len(body)
        while missing > 0:
            more = self.socket.recv(min(missing, 1 << 20))
            if not more:
                raise BenchError(f"{self.at.authority} closed the connection {missing} bytes early")
            body += more
            missing -= len(more)
        return Answer(status, head, body)


def expect(answer: Answer, status: int, what: str) -> Answer:
    """The answer itself when it has the status; raises BenchError with what the server said otherwise."""
    if answer.status != status:
        raise BenchError(f"{what}: {answer.status} instead of {status}: {answer.body[:300]!r}")
    return answer


def location(answer: Answer, what: str) -> str:
    """Path and query of the answer's Location; raises BenchError without one."""
    value = answer.header(b"location")
    if value is None:
        raise BenchError(f"{what}: no Location in {answer.head[:300]!r}")
    return path_of(value)


def with_digest(path: str, digest: str) -> str:
    """An upload's Location with the digest that ends it."""
    return f"{path}{'&' if '?' in path else '?'}digest={digest.replace(':', '%3A')}"
