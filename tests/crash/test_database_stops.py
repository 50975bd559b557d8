"""PostgreSQL is stopped and started again while clients push and pull: 503 meanwhile, and never "not found"."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.checker import check, postgres_facts
from tests.crash.client import Client, NoAnswer, content, image
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server
from tests.crash.load import Auditor, Ledger, Writer
from tests.crash.operations import Cancel, DeleteManifest, DeleteTag, Mount, Operation, PutEmpty, PutTag
from tests.crash.proxy import CuttingRelay
from tests.support.postgres import PostgresCluster, find_binaries
from tests.support.programs import missing

WRITERS = 3
BACK_SECONDS = 10.0
"""So long after the database is back, everything works again."""


class StoppingCluster(PostgresCluster):
    """One that comes back on the port that it had, with what it had."""

    def resume(self) -> None:
        self._process = self._spawn()
        assert self._answers(), self.log()


@pytest.fixture(scope="module")
def cluster() -> Iterator[StoppingCluster]:
    """Of this file alone: the one that all tests share must not be stopped."""
    binaries = find_binaries()
    if binaries is None:
        missing("program: postgres (Debian: apt-get install postgresql)")
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="moorage-pg-", dir="/tmp"))
    cluster = StoppingCluster(binaries, folder)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Puller(threading.Thread):
    """Asks for what is there, all the time; keeps whatever is neither it nor a clear refusal."""

    def __init__(self, server: Server, paths: dict[str, bytes]) -> None:
        super().__init__(name="puller", daemon=True)
        self.wrong: list[object] = []
        self.refused = 0
        self.served = 0
        self._paths = paths
        self._client: Client = server.client()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            for path, expected in self._paths.items():
                try:
                    answer = self._client.get(path)
                except NoAnswer as error:
                    self.wrong.append(error)
                    continue
                if answer.status == 200 and answer.body == expected:
                    self.served += 1
                elif answer.status == 503 and answer.is_refusal():
                    self.refused += 1
                else:
                    self.wrong.append(answer)
            time.sleep(0.005)

    def end(self) -> None:
        self._stopped.set()
        self.join(60)


def prepared(server: Server) -> dict[str, bytes]:
    client = server.client()
    config, layer = content("config", 300), content("layer", 200_000)
    digests = [client.push_blob("stops/r", data) for data in (config, layer)]
    manifest = image(config, [layer])
    assert client.put_manifest("stops/r", "kept", manifest).status == 201
    return {
        "/v2/stops/r/manifests/kept": manifest.payload,
        f"/v2/stops/r/manifests/{manifest.digest}": manifest.payload,
        f"/v2/stops/r/blobs/{digests[0]}": config,
        f"/v2/stops/r/blobs/{digests[1]}": layer,
    }


def wait_until_served(server: Server, path: str) -> None:
    end = time.monotonic() + BACK_SECONDS
    client = server.client()
    while time.monotonic() < end:
        if client.get(path).status == 200:
            return
        time.sleep(0.05)
    raise AssertionError(f"still refused {BACK_SECONDS} s after the database was back")


def outage(server: Server, cluster: StoppingCluster, url: str, ledgers: list[Ledger], seconds: float) -> None:
    """One outage. `ledgers` know what the writers did in those before: it is still there."""
    paths = prepared(server)
    writers = [Writer(number, f"outage {seconds}", ledger, patient=True) for number, ledger in enumerate(ledgers)]
    puller = Puller(server, paths)
    puller.start()
    for writer in writers:
        writer.begin(server.port)
    time.sleep(0.5)

    cluster.stop()
    time.sleep(seconds)
    down = [server.client().request(method, "/v2/stops/r/manifests/kept") for method in ("GET", "HEAD", "DELETE")]
    assert [answer.status for answer in down] == [503] * 3
    assert all("retry-after" in answer.headers for answer in down)
    assert server.client().get("/readyz").status == 503
    assert server.client().get("/healthz").status == 200
    before = [ledger.acknowledged for ledger in ledgers]
    cluster.resume()
    wait_until_served(server, "/v2/stops/r/manifests/kept")
    time.sleep(1)

    for writer in writers:
        writer.end()
    puller.end()
    assert puller.wrong == [], server.log()[-6000:]
    assert puller.refused > 0
    assert [writer.wrong for writer in writers] == [[]] * WRITERS, server.log()[-6000:]
    assert sum(writer.refused for writer in writers) > 0
    assert sum(ledger.acknowledged for ledger in ledgers) > sum(before), "no push after the database was back"
    for ledger in ledgers:
        assert Auditor(server.client(), ledger).audit() == []
    assert check(server.root, postgres_facts(url)) == []


def test_the_database_is_gone_for_a_moment(cluster: StoppingCluster, make_server: MakeServer) -> None:
    with cluster.database() as url:
        server = make_server(workers=2, env={"REGISTRY_DATABASE_URL": url})
        outage(server, cluster, url, [Ledger() for _ in range(WRITERS)], seconds=1)
        server.stop()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_database_is_gone_again_and_again(cluster: StoppingCluster, make_server: MakeServer) -> None:
    with cluster.database() as url:
        server = make_server(workers=2, env={"REGISTRY_DATABASE_URL": url})
        ledgers = [Ledger() for _ in range(WRITERS)]
        for seconds in (0, 15, 3, 60):
            outage(server, cluster, url, ledgers, seconds)
        server.stop()


@pytest.mark.long
def test_a_start_without_the_database_says_why(cluster: StoppingCluster, make_server: MakeServer) -> None:
    with cluster.database() as url:
        server = make_server(env={"REGISTRY_DATABASE_URL": url})
        server.stop()
        cluster.stop()
        with pytest.raises(AssertionError, match="database"):
            server.start()
        cluster.resume()
        server.start()
        server.stop()


@pytest.fixture
def relay(cluster: StoppingCluster) -> Iterator[CuttingRelay]:
    with cluster.database() as url:
        relay = CuttingRelay(url)
        yield relay
        relay.close()


@pytest.mark.parametrize(
    "kind",
    [
        PutEmpty,
        DeleteTag,
        *(pytest.param(kind, marks=pytest.mark.long) for kind in (Mount, PutTag, DeleteManifest, Cancel)),
    ],
    ids=lambda kind: kind.name,
)
def test_the_answer_to_a_commit_is_lost(relay: CuttingRelay, make_server: MakeServer, kind: type[Operation]) -> None:
    """It was carried out, and nobody knows: the client hears 503 and never that what it did is not there."""
    server = make_server(env={"REGISTRY_DATABASE_URL": relay.url})
    client = server.client()
    operation = kind(1)
    operation.prepare(client)
    relay.arm()
    answer = operation.act(client)
    assert relay.cut.is_set()
    assert answer.is_refusal(), answer
    seen = operation.seen(client)
    assert seen == operation.done(), seen
    assert check(server.root, postgres_facts(relay.url)) == []
    told = [row for row in postgres_facts(relay.url)["events"] if row["repository"] == operation.repository]
    assert len(told) == len({row["payload"] for row in told}), "an event was told twice"
    server.stop()
