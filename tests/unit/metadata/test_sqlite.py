"""SQLite: durable commits, shared by many writes at once, and a writer that survives what its changes do."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import threading
import weakref
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from moorage.core.errors import Unavailable
from moorage.http.now import finish_now
from moorage.metadata import sqlite
from moorage.metadata.factory import open_database
from moorage.metadata.repositories import ensure_repository, find_repository
from moorage.metadata.sqlite import open_connection
from moorage.metadata.uploads import UPLOAD
from tests.support.facts import SqliteTemplate


@pytest.mark.parametrize(
    ("setting", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("temp_store", 2)]
)
def test_the_settings_of_a_connection(tmp_path: Path, setting: str, value: object) -> None:
    """2 is FULL: a commit is on the disk when it returns."""
    connection = open_connection(tmp_path / "moorage.db")
    try:
        assert connection.execute(f"PRAGMA {setting}").fetchone() == (value,)
    finally:
        connection.close()


async def test_many_writes_share_a_commit(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    commits: list[str] = []
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"), probe=commits.append)
    await database.start()
    try:
        writes = [database.write(lambda c, n=n: ensure_repository(c, f"a/{n}", 1.0)) for n in range(200)]  # type: ignore[misc]
        await asyncio.gather(*writes)
    finally:
        await database.close()
    assert 200 // sqlite.MAX_BATCH <= commits.count("commit-done") < 100


async def test_a_commit_that_fails_fails_all_that_share_it(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    """Nobody hears "done" of what is not on the disk."""
    failing = False

    def probe(point: str) -> None:
        if failing and point == "commit":
            raise sqlite3.OperationalError("disk I/O error")

    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"), probe=probe)
    await database.start()
    try:
        await database.write(lambda c: ensure_repository(c, "before", 1.0))
        failing = True
        writes = [database.write(lambda c, n=n: ensure_repository(c, f"a/{n}", 1.0)) for n in range(20)]  # type: ignore[misc]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(result) for result in results} == {Unavailable}
        failing = False
        for number in range(20):
            assert await database.read(lambda c, n=number: find_repository(c, f"a/{n}")) is None  # type: ignore[misc]
        assert await database.write(lambda c: ensure_repository(c, "after", 1.0))
    finally:
        await database.close()


async def test_two_closings(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"))
    await database.start()
    await database.close()
    await database.close()


async def test_closed_before_it_was_opened(tmp_path: Path) -> None:
    await open_database(f"sqlite:///{tmp_path / 'a.db'}").close()


async def test_one_that_fails_among_many_is_undone_alone(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    """The batch is run again, one by one; what the failing one had done before it failed is not there."""
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"))
    await database.start()

    def write(number: int, connection: Connection) -> None:
        ensure_repository(connection, f"a/{number}", 1.0)
        if number % 7 == 3:
            raise KeyError(number)

    try:
        writes = [database.write(partial(write, number), durable=number % 2 == 0) for number in range(100)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        for number, result in enumerate(results):
            found = await database.read(partial(find_repository, name=f"a/{number}"))
            assert (found is None) == isinstance(result, KeyError) == (number % 7 == 3)
    finally:
        await database.close()


async def test_a_lookup_in_another_thread_has_a_connection_of_its_own(
    sqlite_template: SqliteTemplate, tmp_path: Path
) -> None:
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"))
    await database.start()

    def look() -> object:
        return finish_now(database.lookup(UPLOAD, "none", "a"))

    try:
        for _ in range(3):  # the first finds one that is open already
            assert await asyncio.to_thread(look) is None
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        with pytest.raises(RuntimeError):  # the reader is the loop's
            await asyncio.to_thread(finish_now, database.read(lambda _: None))
    finally:
        await database.close()


async def test_what_was_written_is_let_go(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    """The writer sleeps until the next write; the manifest of 4 MiB that was the last one is no longer its business."""

    class Payload:
        pass

    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"))
    await database.start()
    try:
        payload = Payload()
        held = weakref.ref(payload)
        await database.write(partial(lambda _payload, _connection: None, payload))
        del payload
        async with asyncio.timeout(10):
            while held() is not None:
                await asyncio.sleep(0.001)
    finally:
        await database.close()


async def test_only_what_must_be_durable_waits_for_the_disk(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    points: list[str] = []
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"), probe=points.append)
    await database.start()
    try:
        await database.write(partial(ensure_repository, name="a/1", now=1.0), durable=False)
        assert points == ["commit", "commit-done"]
        await database.write(partial(ensure_repository, name="a/2", now=1.0))
        assert points[2:] == ["commit", "commit-done", "log-sync", "log-sync-done"]
    finally:
        await database.close()


async def test_another_process_writes_while_one_waits_for_the_disk(
    sqlite_template: SqliteTemplate, tmp_path: Path
) -> None:
    """The lock of writers is free while the log is synced, and nobody is answered before that."""
    url = sqlite_template.copy_to(tmp_path / "a.db")
    syncing, disk = threading.Event(), threading.Event()

    def slow(point: str) -> None:
        if point == "log-sync":
            syncing.set()
            assert disk.wait(30)

    one, other = open_database(url, probe=slow), open_database(url)
    await one.start()
    await other.start()
    try:
        waiting = asyncio.ensure_future(one.write(partial(ensure_repository, name="slow", now=1.0)))
        assert await asyncio.to_thread(syncing.wait, 30)
        await other.write(partial(ensure_repository, name="quick", now=1.0))
        assert await other.read(partial(find_repository, name="slow"))
        assert not waiting.done()
        disk.set()
        await waiting
    finally:
        disk.set()
        await one.close()
        await other.close()


class Disk:
    """A probe: the log cannot be synced as long as it fails."""

    def __init__(self) -> None:
        self.fails = True

    def __call__(self, point: str) -> None:
        if self.fails and point == "log-sync":
            raise OSError(5, "Input/output error")


async def test_after_a_sync_that_failed_nothing_stands_behind_a_hole(
    sqlite_template: SqliteTemplate, tmp_path: Path
) -> None:
    """Those who waited are refused; before the next commit all of the log is in the database, and a new one begins."""
    disk = Disk()
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"), probe=disk)
    await database.start()
    log = tmp_path / "a.db-wal"
    reader = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    try:
        with pytest.raises(Unavailable):
            await database.write(partial(ensure_repository, name="a/1", now=1.0))
        disk.fails = False
        long = log.stat().st_size
        await database.write(partial(ensure_repository, name="a/2", now=1.0))
        assert log.stat().st_size < long + 4096, "it was begun anew"
        whole = sqlite3.connect(f"file:{tmp_path / 'a.db'}?immutable=1", uri=True)  # without the log
        assert whole.execute("SELECT name FROM repositories").fetchall() == [("a/1",)]
        whole.close()
    finally:
        reader.close()
        await database.close()


async def test_a_log_that_somebody_reads_cannot_be_begun_anew(
    sqlite_template: SqliteTemplate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until they have done, a write is refused and not taken for durable."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    disk = Disk()
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"), probe=disk)
    await database.start()
    reader = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    try:
        await database.write(partial(ensure_repository, name="a/0", now=1.0), durable=False)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM repositories").fetchone()
        with pytest.raises(Unavailable):
            await database.write(partial(ensure_repository, name="a/1", now=1.0))
        disk.fails = False
        with pytest.raises(Unavailable):
            await database.write(partial(ensure_repository, name="a/2", now=1.0))
        reader.execute("COMMIT")
        await database.write(partial(ensure_repository, name="a/3", now=1.0))
        assert await database.read(partial(find_repository, name="a/2")) is None
    finally:
        reader.close()
        await database.close()


@pytest.mark.parametrize("held", ["database", "lock file"])
async def test_no_write_waits_for_those_before_it_to_give_up(
    sqlite_template: SqliteTemplate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """Another program has the database, or another worker stands still: all are refused together, and not done."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.5)
    monkeypatch.setattr(sqlite, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(sqlite, "MAX_BATCH", 1)
    database = open_database(sqlite_template.copy_to(tmp_path / "a.db"))
    await database.start()
    await database.write(partial(ensure_repository, name="before", now=1.0))
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    lock = (tmp_path / "a.db.lock").open("r+")
    try:
        other.execute("BEGIN IMMEDIATE") if held == "database" else fcntl.flock(lock, fcntl.LOCK_EX)
        writes = [database.write(partial(ensure_repository, name=f"a/{number}", now=1.0)) for number in range(80)]
        async with asyncio.timeout(20):  # one after the other they would take 40
            results = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(result) for result in results} == {Unavailable}
        other.execute("ROLLBACK") if held == "database" else fcntl.flock(lock, fcntl.LOCK_UN)
        await database.write(partial(ensure_repository, name="after", now=1.0))
        # What the writer was at when it was given up may be done: as when an answer gets lost.
        found = [await database.read(partial(find_repository, name=f"a/{number}")) for number in range(80)]
        assert sum(each is not None for each in found) <= 1
    finally:
        lock.close()
        other.close()
        await database.close()


async def test_a_database_behind_a_symbolic_link(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    """Its log lies beside the file, and not beside the link."""
    (tmp_path / "disk").mkdir()
    sqlite_template.copy_to(tmp_path / "disk/real.db")
    (tmp_path / "a.db").symlink_to("disk/real.db")
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    await database.start()
    try:
        assert await database.write(partial(ensure_repository, name="a/1", now=1.0))
        assert (tmp_path / "disk/real.db-wal").exists()
    finally:
        await database.close()
