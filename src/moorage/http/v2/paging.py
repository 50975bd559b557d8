"""`n`, `last` and the Link to the next page (distribution specification, "Listing Tags"; RFC 8288)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from moorage.core.errors import PaginationInvalid
from moorage.http.request import whole_number

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.response import Header


def wanted(request: Request) -> int | None:
    """The number of results asked for, or None.

    Raises:
        PaginationInvalid: no whole number that is not negative.
    """
    value = request.value("n")
    if value is None or value == "":
        return None
    number = whole_number(value)
    if number is None:
        raise PaginationInvalid(detail={"n": value[:50]})
    return number


def next_link(request: Request, parameters: list[tuple[str, str]]) -> Header:
    """The relative Link to the page after this one: no `;` and no other host in it, which clients refuse."""
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters)
    target = f"{request.prefix}{quote(request.path, safe='/:')}?{query}"
    return b"link", f'<{target}>; rel="next"'.encode("ascii")
