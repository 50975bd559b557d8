"""Requests as the doors see them, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from moorage.http.request import Request


def request(
    method: str = "GET",
    path: str = "/v2/",
    query: bytes = b"",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    messages: list[dict[str, Any]] | None = None,
    *,
    prefix: str = "",
    idle: float = 5.0,
    host: str = "",
) -> Request:
    """A request whose body is what `messages` say; after them nothing comes any more.

    prefix, host: as configured.
    """
    waiting: Iterator[dict[str, Any]] = iter(
        messages if messages is not None else [{"type": "http.request", "body": b""}]
    )

    async def receive() -> dict[str, Any]:
        message = next(waiting, None)
        if message is None:
            await asyncio.Event().wait()
        return message or {}

    lines = list(headers.items()) if isinstance(headers, dict) else headers or []
    scope = {
        "method": method,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in lines],
        "query_string": query,
    }
    made = Request(scope, receive, path, "request-1", idle, host=host)
    made.prefix = prefix
    return made


def body(*pieces: bytes) -> list[dict[str, Any]]:
    """Messages of a body that comes in these pieces and ends."""
    last = len(pieces) - 1
    return [{"type": "http.request", "body": piece, "more_body": number < last} for number, piece in enumerate(pieces)]
