"""One worker dies again and again: the others serve, and it comes back; but a program that cannot start ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.crash.client import NoAnswer
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server

PATIENCE = 60.0

NEVER_READY = """
import os
from granian.constants import Interfaces
from moorage.cli.workers import Ready, Server

how = {"address": "127.0.0.1", "port": 0, "interface": Interfaces.ASGI, "workers": 2, "respawn_failed_workers": True}
# A worker that is told to end while it is being forked takes the signal for the supervisor's; `moorage serve` forgets
# these first, and ends those that stay.
how["workers_kill_timeout"] = 2
Server("moorage", ready=Ready(), **how).serve(target_loader=lambda: os._exit(3), wrap_loader=False)
"""


def wait_for(what: Callable[[], bool], server: Server) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert not server.gone(0), f"the registry ended:\n{server.log()[-3000:]}"
        assert time.monotonic() < end, server.log()[-3000:]
        time.sleep(0.02)


def kill_again_and_again(server: Server, spared: set[int], times: int) -> None:
    """SIGKILL to the worker that is not spared, and to each that comes in its place."""
    killed: set[int] = set()

    def fresh() -> set[int]:
        return set(server.worker_pids()) - spared - killed

    for _ in range(times):
        wait_for(lambda: bool(fresh()), server)
        for pid in fresh():
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    wait_for(lambda: bool(fresh()), server)


def answers(server: Server) -> bool:
    client = server.client()
    try:
        return client.get("/v2/").status == 200
    except NoAnswer:
        return False
    finally:
        client.close()


@pytest.mark.timeout(180)
def test_the_other_worker_serves_and_the_dead_one_comes_back(make_server: MakeServer) -> None:
    server = make_server(workers=2)
    spared = server.worker_pids()[0]
    kill_again_and_again(server, {spared}, 4)
    assert spared in server.worker_pids(), "the healthy worker was ended too"
    assert len(server.worker_pids()) == 2
    wait_for(lambda: answers(server), server)
    server.stop()
    assert "traceback" not in server.log().lower()


@pytest.mark.timeout(180)
def test_the_only_worker_comes_back_too(make_server: MakeServer) -> None:
    server = make_server(workers=1)
    kill_again_and_again(server, set(), 3)
    wait_for(lambda: answers(server), server)
    server.stop()


@pytest.mark.timeout(180)
def test_the_program_ends_at_once_while_a_worker_waits_for_its_start(make_server: MakeServer) -> None:
    server = make_server(workers=2)
    spared = server.worker_pids()[0]
    kill_again_and_again(server, {spared}, 3)
    for pid in set(server.worker_pids()) - {spared}:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: server.worker_pids() == [spared], server)
    server.stop()


def test_where_no_worker_ever_serves_the_program_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NEVER_READY], check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1, done.stderr
    assert "no worker can be started" in done.stdout + done.stderr
