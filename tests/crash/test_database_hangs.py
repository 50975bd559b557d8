"""PostgreSQL stands still (SIGSTOP): it takes connections, and answers nothing. 503 soon, however many ask."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.crash.client import Answer, Client, content, digest_of, image
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server
from tests.support.postgres import PostgresCluster, running_cluster

MANY = 40
SOON = 20.0
"""Seconds; what is asked here is given up after 5, 2 or 10, and a machine may be busy."""

BACK_SECONDS = 30.0
READ = "/v2/hangs/r/manifests/kept"


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresCluster]:
    """Of this file alone: the one that all tests share must not be stopped."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def url(cluster: PostgresCluster) -> Iterator[str]:
    with cluster.database() as url:
        yield url


@pytest.fixture
def server(url: str, make_server: MakeServer) -> Server:
    """With all connections of its one worker open."""
    server = make_server(env={"REGISTRY_DATABASE_URL": url})
    client = server.client()
    client.push_blob("hangs/r", b"{}")
    assert client.put_manifest("hangs/r", "kept", image(b"{}", [])).status == 201
    assert {answer.status for answer in ask(server, *[("GET", READ)] * MANY)} == {200}
    assert {answer.status for answer in ask(server, *[("POST", "/v2/hangs/r/blobs/uploads/")] * MANY)} == {202}
    return server


def ask(server: Server, *wanted: tuple[str, str]) -> list[Answer]:
    """Ask all of that at once; an answer that takes longer than `SOON` is none."""

    def one(method: str, path: str) -> Answer:
        client = Client(server.port, timeout=SOON)
        try:
            return client.request(method, path)
        finally:
            client.close()

    with ThreadPoolExecutor(len(wanted)) as threads:
        return list(threads.map(one, *zip(*wanted, strict=True)))


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """These processes do not run."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def all_of(cluster: PostgresCluster) -> list[int]:
    """The server and its children, itself first: it makes no more of them then."""
    assert cluster._process is not None
    first = cluster._process.pid
    return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]


def backends(cluster: PostgresCluster) -> list[int]:
    """The processes that serve the registry's connections."""
    return [int(pid) for pid in cluster.sql("SELECT pid FROM pg_stat_activity WHERE datname LIKE 't%'").split()]


def wait_until_served(server: Server) -> None:
    end = time.monotonic() + BACK_SECONDS
    while time.monotonic() < end:
        if all(answer.status == 200 for answer in ask(server, *[("GET", READ)] * 8)):
            return
    raise AssertionError(f"still refused after {BACK_SECONDS} s:\n{server.log()[-3000:]}")


@pytest.mark.timeout(300)
def test_all_of_it_stands_still(cluster: PostgresCluster, server: Server) -> None:
    with stopped(all_of(cluster)):
        for _ in range(2):  # over the connections that were open, and over new ones
            answers = ask(server, *[("GET", READ)] * MANY)
            assert all(answer.status == 503 and answer.is_refusal() for answer in answers), answers
        answers = ask(
            server,
            *[("GET", "/v2/hangs/r/tags/list")] * MANY,
            *[("POST", "/v2/hangs/r/blobs/uploads/")] * MANY,
        )
        assert all(answer.status == 503 and answer.is_refusal() for answer in answers), answers
        metrics, ready, alive = ask(server, ("GET", "/metrics"), ("GET", "/readyz"), ("GET", "/healthz"))
        assert (metrics.status, ready.status, alive.status) == (200, 503, 200)
    wait_until_served(server)
    assert "Traceback" not in server.log()
    assert server.client().push_blob("hangs/r", content("after", 3000)) == digest_of(content("after", 3000))
    server.stop()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_only_its_open_connections_stand_still(cluster: PostgresCluster, server: Server) -> None:
    """They are given up and replaced; nobody has to wait until they go on."""
    with stopped(backends(cluster)):
        for _ in range(2):
            answers = ask(server, *[("GET", READ)] * MANY)
            assert all(answer.status == 200 or answer.is_refusal() for answer in answers), answers
        wait_until_served(server)
        ask(server, *[("POST", "/v2/hangs/r/blobs/uploads/")] * MANY)
        assert {answer.status for answer in ask(server, *[("POST", "/v2/hangs/r/blobs/uploads/")] * MANY)} == {202}
    server.stop()


def test_the_program_ends_while_it_stands_still(cluster: PostgresCluster, server: Server) -> None:
    with stopped(all_of(cluster)):
        server.stop(SOON)
    assert "refused to gracefully stop" not in server.log()
