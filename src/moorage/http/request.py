"""A request as the handlers see it: each question about it is answered once."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from moorage.core.access import ANONYMOUS, Caller
from moorage.core.errors import ManifestTimeout, RegistryError, RequestTimeout, UploadInterrupted, UploadTimeout
from moorage.http.forwarded import NO_PROXIES, Forwarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from moorage.core.access import Identity
    from moorage.http.response import Header

    Receive = Callable[[], Awaitable[dict[str, Any]]]

OPEN = Caller(ANONYMOUS)
"""Whoever asks a registry that is open to everybody."""

MAX_PARAMETERS = 200
"""Query parameters that are looked at."""

_LISTS = {
    b"cookie": b"; ",
    b"if-match": b", ",
    b"if-none-match": b", ",
    b"x-forwarded-for": b", ",
    b"x-forwarded-host": b", ",
    b"x-forwarded-proto": b", ",
}
"""Headers that may come in several lines, which are one value with this between them (RFC 9110 section 5.3; of
cookies HTTP/2 makes lines, RFC 9113 section 8.2.3)."""

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


class BadQuery(RegistryError):
    """A query that cannot be understood."""

    code = "UNSUPPORTED"
    status = 400
    default = "The query of the address cannot be understood."


class Request:
    """One request.

    Attributes:
        method, path: as sent; the path decoded, without the configured prefix.
        headers: by lower-case name; of several with one name the last, of lists all of them joined.
        route: its name, for counting.
        name, reference: what the route found in the path, unchecked.
        caller: who asks, with the rights on the repository in the path.
        known: who asks, where that was told at once; None where it is still to be found out.
        id: for the log and the answer of an error.
        location: an upload's address, for answers that must carry it.
        received: bytes of the body that were taken so far.
        complete: whether the whole body was taken.
    """

    __slots__ = (
        "_forwarded",
        "_host",
        "_idle",
        "_query",
        "_receive",
        "_scope",
        "caller",
        "complete",
        "headers",
        "id",
        "known",
        "location",
        "method",
        "name",
        "path",
        "prefix",
        "query_string",
        "received",
        "reference",
        "route",
    )

    def __init__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        path: str,
        request_id: str,
        idle: float,
        forwarded: Forwarded = NO_PROXIES,
        host: str = "",
    ) -> None:
        self.method: str = scope["method"]
        self.path = path
        lines: list[Header] = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(lines)
        if len(self.headers) != len(lines):
            self.headers |= _joined(lines)
        self.query_string: bytes = scope["query_string"]
        self.id = request_id
        self.caller = OPEN
        self.known: Identity | None = None
        self.route = "other"
        self.name = ""
        self.reference = ""
        self.location = ""
        self.prefix = ""
        self.received = 0
        self.complete = False
        self._scope = scope
        self._forwarded = forwarded
        self._host = host
        self._receive = receive
        self._idle = idle
        self._query: list[tuple[str, str]] | None = None

    @property
    def address(self) -> str:
        """The client's address, behind trusted proxies too; `unix` for a local socket."""
        return self._forwarded.client(self._peer(), self.headers)

    def client_certificate(self) -> tuple[str, str] | None:
        """`Client-Cert` and `Client-Cert-Chain` (RFC 9440) where a trusted proxy wrote them; None else.

        Nothing, or no bytes (`::`), is no certificate: proxies that always write the header say so that there is none.
        """
        certificate = (self.header(b"client-cert") or "").strip(" \t")
        if certificate in ("", "::") or not self._forwarded.is_proxy(self._peer()):
            return None
        return certificate, self.header(b"client-cert-chain") or ""

    def origin(self) -> str:
        """Scheme and host by which the client reached us; those of `http.host` where that is configured."""
        return self._host or self._forwarded.origin(self._peer(), self.headers, self._scope.get("scheme", "http"))

    def host_names(self) -> tuple[str, str]:
        """The host that the client says it reached us by, and that of `http.host`; each empty where there is none."""
        said = self._forwarded.origin(self._peer(), self.headers, self._scope.get("scheme", "http"))
        return _host_of(said), _host_of(self._host)

    def _peer(self) -> str:
        peer = self._scope.get("client")
        return str(peer[0]) if peer else "unix"

    def header(self, name: bytes) -> str | None:
        """A header's value as text, or None."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None

    def values(self, name: str) -> list[str]:
        """All values of a query parameter, in order."""
        if self._query is None:
            self._query = parse_query(self.query_string)
        return [value for key, value in self._query if key == name]

    def value(self, name: str) -> str | None:
        """The value of a query parameter, or None.

        Raises:
            BadQuery: given twice with different values; equal ones are sent by regclient after a retry.
        """
        found = set(self.values(name))
        if len(found) > 1:
            raise BadQuery(f"The parameter {name} is given several times with different values.")
        return found.pop() if found else None

    def content_length(self) -> int | None:
        """The announced length of the body in bytes, or None where it is sent in chunks."""
        value = self.header(b"content-length")
        return whole_number(value) if value is not None else None

    async def body(self) -> AsyncIterator[bytes]:
        """The body in the pieces it comes in.

        Raises:
            UploadInterrupted: the client left before its end.
            RequestTimeout: it stood still for longer than the configured time.
        """
        while not self.complete:
            try:
                async with asyncio.timeout(self._idle):
                    message = await self._receive()
            except TimeoutError:
                raise _stood_still(self.route) from None
            if message["type"] != "http.request":
                raise UploadInterrupted
            self.complete = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            if piece:
                self.received += len(piece)
                yield piece

    async def disconnected(self) -> None:
        """Return when the client has left. Only once the body was taken, or there is none."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _joined(lines: list[Header]) -> dict[bytes, bytes]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        if name in _LISTS:
            found.setdefault(name, []).append(value)
    return {name: _LISTS[name].join(values) for name, values in found.items()}


def _stood_still(route: str) -> RequestTimeout:
    if route == "upload":
        return UploadTimeout("The body stood still for too long; ask for the upload's status and resume from there.")
    if route == "uploads":
        return UploadTimeout()
    return ManifestTimeout() if route == "manifest" else RequestTimeout()


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def whole_number(text: str) -> int | None:
    """A number of ASCII digits, or None: `int()` alone would take `1_000`, `+5` and Unicode digits."""
    return int(text) if _NUMBER.fullmatch(text) else None


def parse_query(query: bytes) -> list[tuple[str, str]]:
    """Name and value of each parameter. `+` stays `+`: it stands in media types, and nothing here holds blanks.

    Raises:
        BadQuery: too many, or not UTF-8.
    """
    if not query:
        return []
    parts = query.split(b"&")
    if len(parts) > MAX_PARAMETERS:
        raise BadQuery(f"More than {MAX_PARAMETERS} parameters in one request.")
    found = []
    for part in parts:
        key, _, value = part.partition(b"=")
        try:
            found.append((unquote_to_bytes(key).decode(), unquote_to_bytes(value).decode()))
        except UnicodeDecodeError:
            raise BadQuery from None
    return found
