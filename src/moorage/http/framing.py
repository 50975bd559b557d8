"""What the HTTP server lets through although two programs could read it differently (RFC 9112)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError
from moorage.http.forwarded import is_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.http.response import Header


_OLD = frozenset({"1", "1.0"})
_ANY = b"any"
_NONE = b""

LONGEST_CREDENTIALS = 64 * 1024
"""Bytes of an Authorization header; tokens that name hundreds of groups of a directory have a quarter of it."""


class BadFraming(RegistryError):
    """A request whose end, or whose receiver, is not clear; nothing behind it on the connection can be trusted."""

    code = "UNSUPPORTED"
    status = 400
    default = "The request cannot be understood."

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=(("connection", "close"),))


class HeaderTooLarge(RegistryError):
    """Credentials that nobody ever gave out (RFC 6585 section 5)."""

    code = "UNAUTHORIZED"
    status = 431
    default = f"The Authorization header has more than {LONGEST_CREDENTIALS} bytes; no credentials are so long."


def looks_strange(lines: list[Header], headers: Mapping[bytes, bytes]) -> bool:
    """Whether `check_framing` must look closer: cheap, and false for almost every request."""
    return (
        len(lines) != len(headers)
        or b"transfer-encoding" in headers
        or not is_host(headers.get(b"host", _ANY))
        or len(headers.get(b"authorization", _NONE)) > LONGEST_CREDENTIALS
    )


def check_framing(lines: list[Header], http_version: str) -> None:
    """Look at the header lines as they came.

    Raises:
        BadFraming: a transfer coding besides `chunked`, which nobody here would decode (RFC 9112 section 6.1); several
            Host headers, or one that names no host (section 3.2). Of none the server makes an empty one. HTTP/1.0 knows
            of none.
        HeaderTooLarge: credentials longer than `LONGEST_CREDENTIALS`.
    """
    if any(name == b"authorization" and len(value) > LONGEST_CREDENTIALS for name, value in lines):
        raise HeaderTooLarge
    hosts = [value for name, value in lines if name == b"host"]
    if len(hosts) > 1:
        raise BadFraming("The request has several Host headers.")
    if http_version not in _OLD and not all(map(is_host, hosts)):
        raise BadFraming("The request needs one Host header: the name or address of this registry, with its port.")
    if http_version.startswith("1") and any(
        name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in lines
    ):
        raise BadFraming("The only Transfer-Encoding that is understood is chunked.")
