"""`Root.at_once`: the same answers as through the loop, in a thread that has none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from moorage import app
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.layout import blob_location
from moorage.blobs.ports import Sealed
from moorage.cli import supervisor
from moorage.config import Overrides, load
from moorage.core.digest import Digest, digest_of
from moorage.http.root import Root
from moorage.registry import settle

Message = dict[str, Any]
BLOB = b"some bytes"
PATH = f"/v2/a/blobs/{digest_of(BLOB)}"
LARGER = bytes(20_000)
"""Has a file from the first moment."""


@pytest.fixture
async def root(tmp_path: Path) -> AsyncIterator[Root]:
    settings = load(None, {}, Overrides(root=tmp_path, workers=1)).settings
    supervisor._prepare(settings)
    found = app.build(settings, app.Run(None, os.getppid()))
    await found._startup()
    yield found
    await found._shutdown()


def _scope(method: str, path: str, *headers: tuple[bytes, bytes], query: bytes = b"") -> Message:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"host", b"x"), *headers],
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
    }


async def _ask(root: Root, scope: Message, body: bytes = b"") -> list[Message]:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    await root(scope, receive, _collect(messages))
    return messages


def _collect(messages: list[Message]) -> Callable[[Message], Any]:
    async def send(message: Message) -> None:
        messages.append(message)

    return send


async def _at_once(root: Root, scope: Message) -> list[Message] | None:
    messages: list[Message] = []
    done = await asyncio.to_thread(root.at_once, scope, _collect(messages))
    assert done == bool(messages)
    return messages if done else None


async def _push(root: Root, blob: bytes = BLOB) -> None:
    length = (b"content-length", b"%d" % len(blob))
    query = f"digest={digest_of(blob)}".encode()
    answer = await _ask(root, _scope("POST", "/v2/a/blobs/uploads/", length, query=query), blob)
    assert answer[0]["status"] == 201


async def test_a_blob_in_memory_is_sent_as_through_the_loop(root: Root) -> None:
    await _push(root, LARGER)
    path = f"/v2/a/blobs/{digest_of(LARGER)}"
    assert await _at_once(root, _scope("GET", path)) is None  # cold: that would wait for the disk
    expected = await _ask(root, _scope("GET", path))
    assert await _at_once(root, _scope("GET", path)) == expected
    assert expected[1]["body"] == LARGER
    assert await _at_once(root, _scope("HEAD", path)) == await _ask(root, _scope("HEAD", path))


async def test_a_blob_that_the_database_keeps_is_sent_as_through_the_loop(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "PAUSE", 3600.0)
    monkeypatch.setattr(FilesystemBlobs, "put", _keeps)
    await _push(root)
    answer = await _at_once(root, _scope("GET", PATH))
    assert answer is not None
    assert answer[1]["body"] == BLOB
    assert answer == await _ask(root, _scope("GET", PATH))


async def _keeps(_: FilesystemBlobs, digest: Digest, data: bytes, *, kept: bool) -> Sealed:
    """Whatever filesystem the test runs on."""
    assert kept
    return Sealed(len(data), blob_location(digest), data)


async def test_errors_of_the_client_are_told(root: Root) -> None:
    answer = await _at_once(root, _scope("GET", "/v2/a/manifests/none"))
    assert answer is not None
    assert answer[0]["status"] == 404
    assert b"MANIFEST_UNKNOWN" in answer[1]["body"]


@pytest.mark.parametrize(
    "scope",
    [
        _scope("POST", "/v2/a/blobs/uploads/"),
        _scope("GET", "/v2/_catalog"),
        _scope("GET", "/v2/a/tags/list"),
        _scope("GET", "/readyz"),
        _scope("GET", "/v2/a/manifests/x", (b"content-length", b"3")),
        _scope("GET", "/v2/a/manifests/x", (b"host", b"y")),
        _scope("GET", "/v2/a/manifests/x", (b"transfer-encoding", b"chunked")),
    ],
)
async def test_what_belongs_to_the_loop_is_left_to_it(root: Root, scope: Message) -> None:
    assert await _at_once(root, scope) is None


async def test_it_can_be_switched_off(root: Root) -> None:
    root._quick = False
    assert await _at_once(root, _scope("GET", "/v2/")) is None
