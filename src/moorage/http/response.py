"""An answer, before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Response:
    """Status, headers and body.

    Attributes:
        status: the HTTP status.
        headers: names in lower case. `content-length` is added where the body is bytes and none is given.
        body: the bytes, or pieces of them (then `content-length` must be among the headers).
    """

    status: int
    headers: list[Header]
    body: bytes | AsyncIterator[bytes] = b""
