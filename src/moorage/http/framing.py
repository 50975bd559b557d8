"""What the HTTP server lets through although two programs could read it differently (RFC 9112)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from moorage.http.response import Header


class BadFraming(RegistryError):
    """A request whose end, or whose receiver, is not clear; nothing behind it on the connection can be trusted."""

    code = "UNSUPPORTED"
    status = 400
    default = "The request cannot be understood."

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=(("connection", "close"),))


def looks_strange(lines: list[Header], headers: Mapping[bytes, bytes]) -> bool:
    """Whether `check_framing` must look closer: cheap, and false for almost every request."""
    return len(lines) != len(headers) or b"transfer-encoding" in headers


def check_framing(lines: Iterable[Header], http_version: str) -> None:
    """Look at the header lines as they came.

    Raises:
        BadFraming: a transfer coding besides `chunked`, which nobody here would decode (RFC 9112 section 6.1), or
            several Host headers (section 3.2). Of none the server makes an empty one, and nothing depends on it.
    """
    if not http_version.startswith("1"):
        return
    hosts = 0
    for name, value in lines:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise BadFraming("The only Transfer-Encoding that is understood is chunked.")
    if hosts > 1:
        raise BadFraming("The request has several Host headers.")
