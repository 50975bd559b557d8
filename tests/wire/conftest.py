"""Fixtures of the tests over real sockets: each module has a server of its own, which most of its tests share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, serving
from tests.support.wire import Client, Link

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for all tests of a module; `SERVER` in the module says how it differs from the default."""
    how: dict[str, Any] = getattr(request.module, "SERVER", {})
    with serving(tmp_path_factory.mktemp("server"), **how) as started:
        yield started


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts further servers, which end with the test: `serve(config=..., workers_wanted=1)`."""
    with ExitStack() as stack:
        count = 0

        def start(**how: Any) -> Server:
            nonlocal count
            count += 1
            return stack.enter_context(serving(tmp_path / f"server{count}", **how))

        yield start


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of the module's server."""
    with Client(server) as made:
        yield made


@pytest.fixture
def link(server: Server) -> Iterator[Link]:
    """A bare connection to the module's server."""
    with Link(server.connect()) as made:
        yield made


@pytest.fixture
def name() -> str:
    """A repository that nobody used before."""
    return f"test/{secrets.token_hex(5)}"
