"""Cookies: read from a request, and written as headers of an answer (RFC 6265)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.response import Header


def read_cookies(request: Request) -> dict[str, str]:
    """The cookies of a request by name; of several with one name the first, which has the longest path."""
    found: dict[str, str] = {}
    for pair in (request.header(b"cookie") or "").split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals:
            found.setdefault(name, value)
    return found


def set_cookie(name: str, value: str, *, path: str, secure: bool, seconds: float | None = None) -> Header:
    """The header that gives a browser a cookie that pages cannot read and other sites do not make it send.

    Args:
        name: of the cookie.
        value: ASCII without blanks, quotes, commas, semicolons and backslashes.
        path: below which the browser sends it.
        secure: whether it sends it over TLS only.
        seconds: how long it keeps it; 0 removes it; None until it is closed.
    """
    parts = [f"{name}={value}", f"Path={path}", "HttpOnly", "SameSite=Lax"]
    if secure:
        parts.append("Secure")
    if seconds is not None:
        parts.append(f"Max-Age={int(seconds)}")
    return b"set-cookie", "; ".join(parts).encode("ascii")


def is_secure(request: Request) -> bool:
    """Whether the client reached us over TLS: then its cookies are for TLS only."""
    return request.origin().startswith("https://")
