"""The few pages of the login: plain HTML in which every text is escaped, with nothing active on them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from moorage.http.response import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.http.response import Header

SAFE: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
"""Headers of every answer of these doors."""


def page(status: int, title: str, *parts: str, headers: Sequence[Header] = ()) -> Response:
    """A page.

    Args:
        status: of the answer.
        title: plain text.
        parts: HTML, made by `text` and its like.
        headers: more of them.
    """
    shown = escape(title)
    body = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{shown}</title></head>\n<body><main><h1>{shown}</h1>\n{''.join(parts)}</main></body></html>\n"
    )
    return Response(status, [(b"content-type", b"text/html; charset=utf-8"), *SAFE, *headers], body.encode())


def text(words: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(words)}</p>\n"


def button(address: str, words: str) -> str:
    """A button that sends a POST to an address of ours."""
    return f'<form method="post" action="{escape(address)}"><button>{escape(words)}</button></form>\n'


def redirect(status: int, address: str, headers: Sequence[Header] = ()) -> Response:
    """To another address, which is ASCII."""
    return Response(status, [(b"location", address.encode("ascii")), *SAFE, *headers])
