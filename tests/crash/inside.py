"""The whole registry in the test's process, without a network; each call of the disk and each commit is recorded."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from moorage import app
from moorage.config import Overrides, load
from moorage.http import errors
from moorage.http.root import Root
from moorage.metadata.migrate import migrate
from moorage.registry import settle
from moorage.telemetry.probe import Probe, no_probe
from tests.crash.client import Answer
from tests.crash.disk import Call, Recorder

SETTINGS = {"REGISTRY_LOG_LEVEL": "fatal", "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED": "false"}


class _Silence:
    """A log that nobody reads."""

    def error(self, *_: object, **__: object) -> None:
        """Take a line."""


class Inside:
    """Requests to an application.

    Attributes:
        calls: what was recorded; `commit` has the database's bytes, durable with the `log-sync` after it.
    """

    def __init__(self, root: Root, calls: list[Call]) -> None:
        self._root = root
        self.calls = calls

    async def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send a request and take the whole answer."""
        path, _, query = path.partition("?")
        names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        names["content-length"] = str(len(body))
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "http_version": "1.1",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
        }
        sent: list[dict[str, Any]] = []
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()  # the client stays
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._root(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


@asynccontextmanager
async def running(
    root: Path, monkeypatch: pytest.MonkeyPatch, probe: Probe = no_probe, settle_after: float = 3600.0
) -> AsyncIterator[Inside]:
    """The registry on `root`, for the length of the `async with`.

    Args:
        root: the directory.
        monkeypatch: of the test.
        probe: told each point.
        settle_after: seconds in which small blobs gather for their sync.
    """
    calls: list[Call] = []
    (root / "uploads").mkdir(parents=True, exist_ok=True)
    database = root / "moorage.db"
    if not database.exists():
        database.write_bytes(_empty())
    monkeypatch.setattr(settle, "PAUSE", settle_after)
    monkeypatch.setattr(errors, "_log", _Silence())  # refusals are what these tests are about

    def record(point: str) -> None:
        probe(point)
        if point == "commit-done":
            calls.append(Call("commit", data=_bytes_of(database)))
        elif point == "log-sync-done":
            calls.append(Call("log-sync"))

    with monkeypatch.context() as patch:
        patch.setattr(app, "Files", lambda probe: Recorder(calls, probe))
        settings = load(None, SETTINGS, Overrides(root=root, auth="none")).settings
        root_app = app.build(settings, app.Run(None, os.getppid()), record)
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    life = asyncio.create_task(root_app({"type": "lifespan"}, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    assert (await from_app.get())["type"] == "lifespan.startup.complete"
    while not calls:  # a worker looks once whether upkeep is due when it starts
        await asyncio.sleep(0.001)
    calls.clear()
    calls += [Call("commit", data=_bytes_of(database)), Call("log-sync")]
    try:
        yield Inside(root_app, calls)
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await life


@cache
def _empty() -> bytes:
    """A database of the newest schema without a row."""
    with tempfile.TemporaryDirectory() as folder:
        migrate(f"sqlite:///{folder}/empty.db")
        return _bytes_of(Path(folder) / "empty.db")


def _bytes_of(database: Path) -> bytes:
    """A copy of what is committed, as the bytes of a database file."""
    source, copy = sqlite3.connect(database), sqlite3.connect(":memory:")
    try:
        source.backup(copy)
        return copy.serialize()
    finally:
        source.close()
        copy.close()
