"""Fixtures of the tests over real sockets: each module has a server of its own, which most of its tests share."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import PostgresCluster
from tests.support.server import TESTS_DATABASE, Server, serving
from tests.support.wire import Client, Link

Serve = Callable[..., Server]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`DATABASES` in a module: its tests of a server run over each of them.

    Where all tests are to run over one of them (see `serving`), those do, too.
    """
    databases = getattr(metafunc.module, "DATABASES", ())
    if databases and (chosen := os.environ.get(TESTS_DATABASE)):
        databases = (chosen,)
    if databases and "database_url" in metafunc.fixturenames:
        metafunc.parametrize("database_url", databases, indirect=True, scope="module")


@pytest.fixture(scope="module")
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of the module's server; "" is the file in its root."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    with cluster.database(migrated=True) as url:
        yield url


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, database_url: str
) -> Iterator[Server]:
    """A server for all tests of a module; `SERVER` in the module says how it differs from the default."""
    how: dict[str, Any] = getattr(request.module, "SERVER", {})
    with serving(tmp_path_factory.mktemp("server"), **{"database": database_url, **how}) as started:
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
