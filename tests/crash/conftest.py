"""Servers for the crash tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.harness import Server
from tests.support.nursery import nursery

MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Makes servers in folders of the test; they are killed at its end. Arguments as of `Server`, from `workers` on."""
    made: list[Server] = []

    def make(
        workers: int = 1, env: dict[str, str] | None = None, root: Path | None = None, *, started: bool = True
    ) -> Server:
        server = Server(nursery(), tmp_path / f"server{len(made)}", workers, env, root)
        made.append(server)
        if started:
            server.start()
        return server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A running server with one worker."""
    return make_server()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a thing: for tests that simulate their disk, and need not wait for one."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="moorage-crash-", dir="/dev/shm") as folder:
        yield Path(folder)
