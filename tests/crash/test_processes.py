"""Only some of the processes die: a worker, the supervisor; and the program is ended while it works."""

from __future__ import annotations

import http.client
import os
import signal
import time
from itertools import count

import pytest

from tests.crash.checker import check
from tests.crash.client import NoAnswer, content, digest_of
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server
from tests.crash.load import Auditor, Writer
from tests.crash.operations import Patch, PutRest
from tests.crash.plan import Action, Armed

RESPAWN_SECONDS = 10.0
ORPHAN_SECONDS = 5.0
"""Workers look once a second; the rest is for a busy machine."""


def wait_for_workers(server: Server, gone: int, number: int) -> None:
    end = time.monotonic() + RESPAWN_SECONDS
    while time.monotonic() < end:
        workers = server.worker_pids()
        if gone not in workers and len(workers) == number:
            return
        time.sleep(0.02)
    raise AssertionError(f"{server.worker_pids()} after {gone} was killed:\n{server.log()[-3000:]}")


def test_a_killed_worker_is_replaced(make_server: MakeServer) -> None:
    server = make_server(workers=2)
    client = server.client()
    patch = Patch(1)
    patch.prepare(client)
    client.close()
    killed = server.worker_pids()[0]
    os.kill(killed, signal.SIGKILL)
    wait_for_workers(server, killed, 2)
    server.wait_ready()
    for number in range(8):  # whichever worker answers
        client = server.client()
        client.push_blob("processes/r", content(number, 2000))
        client.close()
    patch.again(server.client())
    server.stop()
    assert check(server.root) == []


@pytest.mark.parametrize("point", ["write-done", "rename-done", "commit"])
def test_a_worker_that_dies_at_work_is_replaced(server: Server, point: str) -> None:
    client = server.client()
    put = PutRest(1)
    put.prepare(client)
    worker = server.worker_pids()[0]
    server.arm(Armed(Action.KILL_WORKER, point))
    with pytest.raises(NoAnswer):
        put.act(client)
    assert server.plan.fired
    wait_for_workers(server, worker, 1)
    server.wait_ready()
    client = server.client()
    assert put.is_undone(put.seen(client)) or put.seen(client) == put.done()
    put.again(client)
    assert client.blob(put.repository, put.digest) == put.data
    server.stop()
    assert check(server.root) == []


def test_workers_end_when_the_supervisor_is_killed(make_server: MakeServer) -> None:
    """Whoever starts the program again (systemd, a container's runtime) needs the port and the files."""
    server = make_server(workers=2)
    writer = Writer(0, "orphans", patient=True)
    writer.begin(server.port)
    time.sleep(0.3)
    server.kill_supervisor()
    assert server.gone(ORPHAN_SECONDS), "workers outlive their supervisor"
    assert check(server.root) == []
    server.restart()
    time.sleep(0.3)
    writer.end()
    assert writer.wrong == []
    assert Auditor(server.client(), writer.ledger).audit() == []
    server.stop()
    assert check(server.root) == []


def test_a_restart_at_once_after_the_supervisor_was_killed(make_server: MakeServer) -> None:
    """A second start while orphans are still there either serves or says why not; it does not corrupt anything."""
    server = make_server(workers=2)
    client = server.client()
    known = client.push_blob("processes/r", b"known")
    server.kill_supervisor()
    for attempt in count():
        try:
            server.start()
            break
        except AssertionError:
            assert attempt < 20, server.log()[-3000:]
            assert "cannot be listened on" in server.log()
            time.sleep(0.2)
    for number in range(8):
        client = server.client()
        assert client.blob("processes/r", known) == b"known"
        client.push_blob("processes/r", content(number, 500))
        client.close()
    server.stop()
    assert check(server.root) == []


def test_sigterm_lets_a_running_upload_finish(make_server: MakeServer) -> None:
    server = make_server(workers=2)
    data = content("slow", 300_000)
    client = SlowClient(server)
    client.begin("processes/r", data)
    server.terminate()
    time.sleep(0.3)
    assert client.end() == 201
    assert server.gone(20)
    assert check(server.root) == []
    server.restart()
    assert server.client().blob("processes/r", digest_of(data)) == data


class SlowClient:
    """Sends half of a body, and the rest when asked to."""

    def __init__(self, server: Server) -> None:
        self._client = server.client()
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self._data = b""

    def begin(self, name: str, data: bytes) -> None:
        self._data = data
        session = self._client.begin(name)
        self._connection.putrequest("PUT", f"{session}?digest={digest_of(data)}")
        self._connection.putheader("Content-Length", str(len(data)))
        self._connection.endheaders()
        self._connection.send(data[: len(data) // 2])
        time.sleep(0.2)

    def end(self) -> int:
        self._connection.send(self._data[len(self._data) // 2 :])
        response = self._connection.getresponse()
        response.read()
        self._connection.close()
        return response.status
