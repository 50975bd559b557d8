"""A small HTTP client for looking at a registry byte by byte.

It adds nothing that a test did not ask for except `Host`, `Accept-Encoding: gzip` (as Go's client does, so
that a server which compresses is caught) and the framing of a body. It follows no redirect, retries nothing,
and hides no header.
Every exchange is kept as text, so that a failed test can show what was asked and what came back.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

Headers = Iterable[tuple[str, str]]
SHOWN_BODY = 600
TIMEOUT = 60.0
LARGE = 65536
"""A body of more bytes may be refused before it was read; whether the connection goes on then is a test of its own."""


@dataclass(frozen=True)
class Answer:
    """What came back for one request, headers in the order and spelling of the wire."""

    method: str
    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return the value of each header line of that name, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """Return the value of the only header line of that name, None where there is none.

        Raises:
            AssertionError: the header came more than once.
        """
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def need(self, name: str) -> str:
        """Return the value of a header that has to be there and not be empty.

        Raises:
            AssertionError: it is not.
        """
        value = self.header(name)
        assert value, f"{self.method} {self.url} -> {self.status} without {name}; headers: {self.headers}"
        return value

    def expect(self, *statuses: int) -> Answer:
        """Return this answer if its status is one of those.

        Raises:
            AssertionError: it is not.
        """
        wanted = " or ".join(map(str, statuses))
        assert self.status in statuses, (
            f"{self.method} {self.url} -> {self.status}, expected {wanted}; body: {self.body[:SHOWN_BODY]!r}"
        )
        return self

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)

    def codes(self) -> list[str]:
        """Return the error codes of the body.

        Raises:
            AssertionError: the body is not the JSON that the specification defines for errors.
        """
        kind = (self.header("Content-Type") or "").split(";")[0].strip()
        assert kind == "application/json", f"an error with Content-Type {self.header('Content-Type')!r}"
        body = self.json()
        assert isinstance(body, dict), body
        errors = body.get("errors")
        assert isinstance(errors, list), body
        assert errors, body
        assert all(isinstance(error.get("code"), str) for error in errors), body
        assert all(isinstance(error.get("message", ""), str) for error in errors), body
        return [error["code"] for error in errors]


def with_query(url: str, *pairs: tuple[str, str]) -> str:
    """Return the URL with these parameters added to its query, what was there kept."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *pairs]
    return urlunsplit(parts._replace(query=urlencode(query)))


def in_pieces(body: bytes) -> Iterator[bytes]:
    """Cut a body into at least two pieces (none when it is empty), for a chunked transfer."""
    step = min(65536, max(1, len(body) // 2))
    for start in range(0, len(body), step):
        yield body[start : start + step]


class Registry:
    """One registry at a base URL, reached over one connection that is kept as long as the server likes.

    login: `user:password`, shown when the registry asks for it: as it stands, or for a token.
    """

    def __init__(self, base_url: str, ca: Path | None = None, login: str | None = None) -> None:
        parts = urlsplit(base_url)
        assert parts.scheme in {"http", "https"}, base_url
        assert parts.hostname, base_url
        self.base = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self._open: http.client.HTTPConnection | None = None
        self._basic = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._authorization = ""
        self.exchanges: deque[str] = deque(maxlen=12)

    def send(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        *,
        body: bytes | None = None,
        chunked: bool = False,
        encoding: str | None = "gzip",
        keep: bool = False,
    ) -> Answer:
        """Send one request and read its whole answer.

        Args:
            method: the HTTP method.
            target: a path with an optional query, or a Location that the registry gave.
            headers: header lines, sent as they are, repeated ones as several lines.
            body: the bytes to send; None sends none, with `Content-Length: 0` for POST, PUT and PATCH.
            chunked: send the body with `Transfer-Encoding: chunked` and no `Content-Length`.
            encoding: the value of `Accept-Encoding`; None leaves it out.
            keep: go on using the connection after a large body was refused, if the server does not close it.

        Raises:
            AssertionError: the target points to another server.
            OSError: the connection broke before an answer came.
        """
        url = urljoin(self.base + "/", target)
        assert url.startswith(self.base + "/"), f"{target!r} leaves the registry {self.base}"
        lines = list(headers)
        if encoding is not None:
            lines.insert(0, ("Accept-Encoding", encoding))
        if chunked:
            lines.append(("Transfer-Encoding", "chunked"))
        elif body is not None or method in {"POST", "PUT", "PATCH"}:
            lines.append(("Content-Length", str(len(body or b""))))
        parts = urlsplit(url)
        path = urlunsplit(("", "", parts.path, parts.query, ""))
        answer = self._admitted(method, path, lines, body, chunked=chunked)
        self.exchanges.append(shown_answer(answer))
        if answer.status >= 400 and len(body or b"") > LARGE and not keep:
            self.close()
        return answer

    def get(self, target: str, headers: Headers = ()) -> Answer:
        """Send a GET."""
        return self.send("GET", target, headers)

    def head(self, target: str, headers: Headers = ()) -> Answer:
        """Send a HEAD."""
        return self.send("HEAD", target, headers)

    def delete(self, target: str) -> Answer:
        """Send a DELETE."""
        return self.send("DELETE", target)

    def raw(self, request: bytes) -> bytes:
        """Send these bytes on a connection of their own and return all that comes until it is closed.

        Credentials are put behind the first line where there are any.
        """
        if self._basic:
            first, end, rest = request.partition(b"\r\n")
            request = first + end + f"Authorization: {self._basic}\r\n".encode() + rest
        self.exchanges.append("> " + request.decode("latin-1"))
        with socket.create_connection((self._host, self._port), timeout=TIMEOUT) as plain:
            link = self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls else plain
            with link:
                link.sendall(request)
                received = b""
                while piece := link.recv(65536):
                    received += piece
        self.exchanges.append("< " + received[:2000].decode("latin-1"))
        return received

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _admitted(
        self, method: str, path: str, lines: list[tuple[str, str]], body: bytes | None, *, chunked: bool
    ) -> Answer:
        """The answer; where the registry asks who that is, the one to the same request with credentials."""
        # Twice, because the challenge of a mount names the source only to whoever has a token for the target.
        for last in (False, False, True):
            sent = [*lines, ("Authorization", self._authorization)] if self._authorization else lines
            self.exchanges.append(shown_request(method, path, lines, body))
            answer = self._exchange(method, path, sent, body or b"", chunked=chunked)
            if last or not self._basic or answer.status != 401:
                break
            if len(body or b"") > LARGE:
                self.close()
            self._authorization = self._credentials(answer.need("WWW-Authenticate"))
        return answer

    def _credentials(self, challenge: str) -> str:
        """What an `Authorization` header must hold to meet a challenge."""
        scheme, _, rest = challenge.partition(" ")
        if scheme == "Basic":
            return self._basic
        found = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        asked = [("service", found["service"]), *(("scope", each) for each in found.get("scope", "").split())]
        path = f"{urlsplit(found['realm']).path}?{urlencode(asked)}"
        answer = self._exchange("GET", path, [("Authorization", self._basic)], b"", chunked=False).expect(200)
        return f"Bearer {answer.json()['token']}"

    def _exchange(self, method: str, path: str, lines: list[tuple[str, str]], body: bytes, *, chunked: bool) -> Answer:
        connection = self._connection()
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in lines:
                connection.putheader(name, value)
            # The server may answer before it has read everything; then the answer is what counts.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                connection.endheaders(in_pieces(body) if chunked else body, encode_chunked=chunked)
            response = connection.getresponse()
            received = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.exchanges.append(f"< nothing: {error!r}")
            self.close()
            raise
        if response.will_close:
            self.close()
        return Answer(method, path, response.status, tuple(response.getheaders()), received)

    def _connection(self) -> http.client.HTTPConnection:
        """Return a connection that is still open: a server may close an idle one at any time."""
        if self._open is not None:
            link = self._open.sock
            if link is None or select.select([link], [], [], 0)[0]:
                self.close()
        if self._open is None:
            if self._tls is None:
                self._open = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
            else:
                self._open = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._tls)
            self._open.connect()
        return self._open


def shown_request(method: str, path: str, lines: Headers, body: bytes | None) -> str:
    """Return a request as text, its body cut short."""
    shown = [f"> {method} {path} HTTP/1.1", *(f"> {name}: {cut(value)}" for name, value in lines)]
    if body:
        shown.append(f"> [{len(body)} bytes] {body[: SHOWN_BODY // 4]!r}")
    return "\n".join(shown)


def shown_answer(answer: Answer) -> str:
    """Return an answer as text, its body cut short."""
    shown = [f"< HTTP/1.1 {answer.status}", *(f"< {name}: {cut(value)}" for name, value in answer.headers)]
    if answer.body:
        shown.append(f"< [{len(answer.body)} bytes] {answer.body[:SHOWN_BODY]!r}")
    return "\n".join(shown)


def cut(value: str) -> str:
    """Return a header's value, cut at a length that a reader can stand."""
    return value if len(value) <= SHOWN_BODY else value[:SHOWN_BODY] + "..."


def query(**pairs: str) -> str:
    """Return a query string with its question mark."""
    return "?" + urlencode(pairs)


def as_dict(answer: Answer) -> Mapping[str, str]:
    """Return the headers by lower-case name; of a repeated one the last."""
    return {name.lower(): value for name, value in answer.headers}
