"""SIGKILL to all processes at every point that an operation passes, and at the last passing of each.

After the restart the operation is done in whole or not at all, what a client was told is there, and the client can
go on. The short version kills at the points where most is at stake.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from moorage.blobs.layout import blob_location
from moorage.core.digest import Digest
from tests.crash.checker import check, sqlite_facts
from tests.crash.client import NoAnswer
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server
from tests.crash.operations import (
    OPERATIONS,
    Cancel,
    DeleteManifest,
    Operation,
    Outgrow,
    Patch,
    PostSmall,
    PutEmpty,
    PutIndex,
    PutRest,
    PutSmall,
    PutTag,
    Upload,
)
from tests.crash.plan import Action, Armed
from tests.crash.server import SETTLE

REPETITIONS = 5
COMBINATIONS = 40
"""The long version kills at no fewer pairs of an operation and a point."""

SHORT: tuple[tuple[type[Operation], str], ...] = (
    (Patch, "write-done"),
    (Patch, "commit"),
    (PutRest, "fsync-done"),
    (PutRest, "mkdir-done"),
    (PutRest, "rename"),
    (PutRest, "rename-done"),
    (PutRest, "commit"),
    (PutRest, "commit-done"),
    (PutEmpty, "rename-done"),
    (PutSmall, "log-sync"),
    (PutSmall, "log-sync-done"),
    (PutSmall, "commit"),
    (Outgrow, "fsync-done"),
    (Outgrow, "commit"),
    (Cancel, "commit-done"),
    (PutTag, "commit"),
    (PutTag, "log-sync-done"),
    (PutTag, "response"),
    (PutIndex, "commit-done"),
    (DeleteManifest, "commit"),
)


def points_of(server: Server, kind: type[Operation]) -> list[tuple[str, int]]:
    """The first and the last passing of each point when nothing happens, on a store that is not new."""
    client = server.client()
    for number in (-1, 0):
        operation = kind(number)
        operation.prepare(client)
        server.arm(Armed(Action.NOTHING))
        assert operation.act(client).status == operation.success
    passed = server.plan.passed()
    return sorted({(point, nth) for point in set(passed) for nth in (1, passed.count(point))})


def kill_at(server: Server, operation: Operation, point: str, nth: int) -> bool:
    """One case; False where the operation did not come there: a directory may be new to it or not."""
    client = server.client()
    operation.prepare(client)
    server.arm(Armed(Action.KILL_ALL, point, nth))
    what = f"{operation.repository}, {point} {nth}"
    try:
        answer = operation.act(client)
    except NoAnswer:
        assert server.plan.fired, what
    else:
        assert not server.plan.disarm(), what
        assert answer.status == operation.success, (what, answer)
        assert operation.seen(client) == operation.done(), what
        return False
    assert server.gone(10), what
    assert check(server.root) == [], what
    server.restart()

    client = server.client()
    seen = operation.seen(client)
    done = seen == operation.done()
    assert done or operation.is_undone(seen), (what, seen)
    if not done or isinstance(operation, Upload):
        operation.again(client)
    finished = [(operation.data, None)] if isinstance(operation, Upload) else []
    assert operation.seen(client) in (operation.done(), *finished), what
    client.close()
    return True


@pytest.mark.parametrize(("kind", "point"), SHORT, ids=lambda value: getattr(value, "name", value))
def test_killed_where_most_is_at_stake(server: Server, kind: type[Operation], point: str) -> None:
    passings = dict(points_of(server, kind))  # the last passing of each
    assert kill_at(server, kind(1), point, 1 if point == "mkdir-done" else passings[point])
    server.stop()
    assert check(server.root) == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.name)
def test_killed_at_every_point(server: Server, kind: type[Operation]) -> None:
    points = points_of(server, kind)
    number = 0
    for point, nth in points:
        killed = 0
        while killed < REPETITIONS:
            number += 1
            assert number < 20 * REPETITIONS * len(points), f"{point} {nth} is not passed any more"
            killed += kill_at(server, kind(number), point, nth)
    server.stop()
    assert check(server.root) == []


@pytest.mark.long
def test_the_long_version_has_enough_combinations(server: Server) -> None:
    pairs = {(kind.name, point) for kind in OPERATIONS for point, _ in points_of(server, kind)}
    assert len(pairs) >= COMBINATIONS, sorted(pairs)


def kept(root: Path) -> int:
    """How many small blobs the database keeps."""
    return len(sqlite_facts(root / "moorage.db")["unsynced_blobs"])


@pytest.mark.parametrize(
    "point", ["mkdir-done", "write-done", "link", "link-done", "syncfs", "syncfs-done", "commit", "commit-done"]
)
def test_killed_while_settling(make_server: MakeServer, point: str) -> None:
    """Small blobs that were not known to be on the disk are put there after the next start, and served at once."""
    with TemporaryDirectory(prefix="moorage-crash-", dir="/dev/shm") as folder:  # there they wait, whatever the disk is
        server = make_server(env={SETTLE: "0.5"}, root=Path(folder) / "root")
        client = server.client()
        blobs = [PostSmall(number) for number in range(3)]
        for blob in blobs:
            blob.prepare(client)
            assert blob.act(client).status == blob.success
        server.arm(Armed(Action.KILL_ALL, point))
        assert server.gone(20), "nothing was settled"
        assert server.plan.fired
        assert check(server.root) == []
        assert kept(server.root) == (0 if point == "commit-done" else 3)
        server.restart()
        client = server.client()
        assert [blob.seen(client) for blob in blobs] == [blob.done() for blob in blobs]
        server.stop()
        assert kept(server.root) == 0
        assert check(server.root) == []


def wait_for_files(root: Path) -> None:
    """Wait until the database keeps no small blob any more."""
    end = time.monotonic() + 10
    while kept(root) and time.monotonic() < end:
        time.sleep(0.05)
    assert kept(root) == 0


def test_what_has_no_file_yet_is_served_and_stored_after_a_crash(make_server: MakeServer) -> None:
    """Nothing at their places, or what a loss of power leaves of a file: cut, or full of zeroes."""
    with TemporaryDirectory(prefix="moorage-crash-", dir="/dev/shm") as folder:
        server = make_server(root=Path(folder) / "root")  # of two workers one may begin now, and store what is there
        client = server.client()
        blobs = [PostSmall(number) for number in range(6)]
        for blob in blobs:
            blob.prepare(client)
            assert blob.act(client).status == blob.success
        server.kill()
        assert kept(server.root) == 6
        assert check(server.root) == []
        assert list(server.root.glob("docker/registry/v2/blobs/*/*/*/data")) == []
        for blob in blobs[2:]:
            place(server.root, blob.digest, b"" if blob.number % 2 else bytes(len(blob.data)))
        server.workers = 2
        server.restart()
        client = server.client()
        assert [blob.seen(client) for blob in blobs] == [blob.done() for blob in blobs]
        wait_for_files(server.root)
        client = server.client()
        assert [blob.seen(client) for blob in blobs] == [blob.done() for blob in blobs]
        server.stop()
        assert check(server.root) == []


def place(root: Path, digest: str, data: bytes) -> None:
    """Put a file where a blob's has to be."""
    file = root / blob_location(Digest(digest))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def abandoned(root: Path) -> list[Path]:
    """Files of sessions that no row knows, long untouched: what a crash leaves and the purge removes."""
    files = [root / "uploads" / str(uuid.uuid4()) for _ in range(3)]
    for file in files:
        file.write_bytes(b"abandoned")
        os.utime(file, (1, 1))
    return files


@pytest.mark.parametrize("point", ["unlink", "unlink-done"])
def test_killed_while_purging(make_server: MakeServer, point: str) -> None:
    """The purge that comes after the restart does the rest; a session that is in use stays."""
    purging = "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_"
    server = make_server(env={f"{purging}ENABLED": "true", f"{purging}AGE": "1h", f"{purging}INTERVAL": "1s"})
    client = server.client()
    used = Patch(1)
    used.prepare(client)
    files = abandoned(server.root)
    server.arm(Armed(Action.KILL_ALL, point, 2))
    assert server.gone(20), "no purge has come"
    assert server.plan.fired
    assert any(file.exists() for file in files)
    server.restart()
    end = time.monotonic() + 20
    while any(file.exists() for file in files) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(file.exists() for file in files)
    used.again(server.client())
    server.stop()
    assert check(server.root) == []
