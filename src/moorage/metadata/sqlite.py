"""SQLite: reads in place, writes in one thread that commits many at once.

Writers of several processes take turns at a lock file, which wakes the next one at once, where SQLite's own busy
handler sleeps and asks again. The log (WAL) is synced when that lock is free again, and before anybody is answered: the
next process commits while the disk works (docs/adr/0014).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from moorage.core.errors import Unavailable
from moorage.metadata.database import ignore
from moorage.metadata.failures import meaning_of
from moorage.metadata.kept_rows import KeptRows
from moorage.telemetry.probe import no_probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection, Dialect

    from moorage.metadata.database import Lookup, Observe, Row
    from moorage.telemetry.probe import Probe

T = TypeVar("T")

MAX_BATCH = 64
"""Writes that share one commit; more would make the first one wait for too long."""

BUSY_SECONDS = 15.0
"""How long another program may hold the database (a shell, a repair) before we answer 503: some clients give up soon
after. No write waits for longer, whatever is before it."""

LOOK_SECONDS = 1.0
"""How often it is looked for writes that have waited for too long, while any wait."""

CHECKPOINT_PAGES = 4000
"""Pages of the log (16 MiB) after which they are copied into the database; what many pushes change is copied once."""

TIMED = 16
"""Of so many lookups one is timed, and stands for them all: to time each would make it a tenth slower."""

_sync = getattr(os, "fdatasync", os.fsync)

CACHE_KIB = 1024
"""Page cache of one connection."""


def open_connection(path: Path) -> sqlite3.Connection:
    """A connection with our settings; usable from any one thread at a time."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=256
    )
    settings = (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"cache_size=-{CACHE_KIB}",
        "temp_store=MEMORY",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
    )
    try:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}").close()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _open_log(path: Path) -> int:
    """A descriptor of the log that a connection of `_connect` holds open, its entry in the folder durable."""
    real = path.resolve()  # beside what a symbolic link leads to, says SQLite
    descriptor = os.open(f"{real}-wal", os.O_RDWR | os.O_CLOEXEC)
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return descriptor


def _connect(path: Path) -> tuple[sqlite3.Connection, Connection]:
    raw = open_connection(path)
    engine = create_engine(
        "sqlite://", creator=lambda: raw, poolclass=StaticPool, isolation_level="AUTOCOMMIT", query_cache_size=500
    )
    raw.execute("SELECT count(*) FROM sqlite_schema").close()  # the first look makes the log and its index
    return raw, engine.connect()


class _Write:
    __slots__ = ("change", "durable", "error", "future", "loop", "result")

    def __init__(
        self,
        change: Callable[[Connection], Any],
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        *,
        durable: bool,
    ) -> None:
        self.change = change
        self.durable = durable
        self.loop = loop
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def settle(self) -> None:
        if self.future.done():  # cancelled, or waited for too long
            return
        if self.error is not None:
            self.future.set_exception(meaning_of(self.error))
        else:
            self.future.set_result(self.result)


class SqliteDatabase:
    """`Database` on one SQLite file, shared by the worker processes of one machine.

    Args:
        path: of the database file; `<path>.lock` beside it orders the writers.
        observe: told `read` or `write` and its duration in seconds, and `lookup` for every `TIMED` of them.
        probe: told each commit.
    """

    def __init__(self, path: Path, observe: Observe = ignore, probe: Probe = no_probe) -> None:
        self._path = path
        self._observe = observe
        self._probe = probe
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._here = threading.local()
        self._rows = KeptRows()
        self._asked = 0
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._looking: asyncio.TimerHandle | None = None
        self._opened: list[sqlite3.Connection] = []
        self._spare: list[sqlite3.Connection] = []
        self._raw: sqlite3.Connection
        self._reader: Connection
        self._dialect: Dialect

    async def start(self) -> None:
        """Open the reader's connection and start the writer."""
        self._raw, self._reader = _connect(self._path)
        self._dialect = self._reader.dialect
        self._here.raw = self._raw
        self._opened.append(open_connection(self._path))
        self._spare.append(self._opened[0])
        self._rows.open(self._path)
        self._thread = threading.Thread(target=self._write_all, name="metadata-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finish the writes under way and close."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            if self._looking is not None:
                self._looking.cancel()
            self._reader.close()
            for raw in (self._raw, *self._opened):
                raw.close()
            self._rows.close()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a reading query in place: tens of microseconds, less than a thread hop."""
        asyncio.get_running_loop()  # the reader is this thread's alone
        begun = time.perf_counter()
        try:
            return query(self._reader)
        except Exception as error:
            raise meaning_of(error) from error
        finally:
            self._observe("read", time.perf_counter() - begun)

    async def lookup(self, query: Lookup, *values: object) -> Row | None:
        """The row that is known, or that of the query run on the driver."""
        if not query.kept:
            return self._look_up(query, values)
        found = self._rows.find(query, values)
        if found is None:
            stamp = self._rows.stamp()
            found = self._look_up(query, values)
            if found is not None:
                self._rows.keep(stamp, query, values, found)
        return found

    def _look_up(self, query: Lookup, values: tuple[object, ...]) -> Row | None:
        text, order = query.compile(self._dialect)
        if order is not None:
            values = tuple(values[place] for place in order)
        self._asked += 1  # of two threads at once one may not count: it is for statistics
        timed = self._asked % TIMED == 0
        begun = time.perf_counter() if timed else 0.0
        try:
            raw = getattr(self._here, "raw", None) or self._open_here()
            found = cast("Row | None", raw.execute(text, values).fetchone())
        except sqlite3.Error as error:
            raise meaning_of(error) from error
        if timed:
            self._observe("lookup", time.perf_counter() - begun, TIMED)
        return found

    async def write(self, change: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Queue a change for the writer and wait until it is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        begun = time.perf_counter()
        self._waiting.append((begun, future))
        if self._looking is None:
            self._looking = loop.call_later(LOOK_SECONDS, self._look, loop)
        self._queue.put(_Write(change, loop, future, durable=durable))
        try:
            return await future
        finally:
            self._observe("write", time.perf_counter() - begun)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse what has waited for too long. The writer passes it over; where it is at it, nobody hears of that."""
        latest = time.perf_counter() - BUSY_SECONDS
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] < latest):
            future = self._waiting.popleft()[1]
            if not future.done():
                future.set_exception(Unavailable())
        self._looking = loop.call_later(LOOK_SECONDS, self._look, loop) if self._waiting else None

    def _open_here(self) -> sqlite3.Connection:
        """A connection of this thread's own: two at one would wait for each other. The first is open already."""
        try:
            raw = self._spare.pop()
        except IndexError:
            raw = open_connection(self._path)
            self._opened.append(raw)
        self._here.raw = raw
        return raw

    def _write_all(self) -> None:
        writer = _Writer(self._path, self._probe)
        try:
            while (first := self._queue.get()) is not None:
                if first.future.done():
                    continue
                batch, more = self._gather(first)
                writer.commit(batch)
                writer.sync(batch)
                batch[0].loop.call_soon_threadsafe(_settle, batch)
                if not more:
                    return
                del first, batch  # a write holds what it writes, and the next one may be long in coming
        finally:
            writer.close()

    def _gather(self, first: _Write) -> tuple[list[_Write], bool]:
        batch = [first]
        with suppress(queue.Empty):
            while len(batch) < MAX_BATCH:
                following = self._queue.get_nowait()
                if following is None:
                    return batch, False
                if not following.future.done():
                    batch.append(following)
        return batch, True


def _settle(batch: list[_Write]) -> None:
    for write in batch:
        write.settle()


class _Writer:
    """The connection that writes, and the order among processes; all of it in one thread.

    A statement costs less than what is around it: each lets go of the interpreter's lock several times, and others want
    it. So the usual batch runs without a savepoint for each write; where one fails, the batch is undone and run again
    with them.
    """

    def __init__(self, path: Path, probe: Probe) -> None:
        self._raw, self._connection = _connect(path)
        # A commit leaves the sync to `sync`; SQLite still does its own around a checkpoint.
        self._raw.execute("PRAGMA synchronous=NORMAL").close()
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._log = _open_log(path)
        self._probe = probe
        self._doubtful = False

    def close(self) -> None:
        self._connection.close()
        self._raw.close()
        os.close(self._lock)
        os.close(self._log)

    def commit(self, batch: list[_Write]) -> None:
        """Run a batch in one transaction; one that fails is undone alone, a failing commit fails them all."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self._doubtful:
                self._copy_log()
            if not self._all_at_once(batch):
                self._one_by_one(batch)
            self._probe("commit")
            self._raw.execute("COMMIT")
            self._probe("commit-done")
        except Exception as error:  # noqa: BLE001 - whoever waits must get an answer, whatever it was
            with suppress(sqlite3.Error):
                self._raw.execute("ROLLBACK")
            for write in batch:
                write.error = write.error or error
        finally:
            with suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def sync(self, batch: list[_Write]) -> None:
        """Make durable what has to be: the log in whole, so that it has no hole whoever wrote to it.

        Where that fails the changes are there and nobody is told so: the same as when an answer gets lost.
        """
        waiting = [write for write in batch if write.durable and write.error is None]
        if not waiting:
            return
        try:
            self._probe("log-sync")
            _sync(self._log)
            self._probe("log-sync-done")
        except OSError as error:
            self._doubtful = True
            for write in waiting:
                write.error = error

    def _copy_log(self) -> None:
        """Have all of the log copied into the database, durably, and begin a new one.

        After a failed sync the system takes what it could not write for written, and a later sync says nothing of it;
        what is committed after that would stand behind a hole.

        Raises:
            Unavailable: somebody still reads from the log.
        """
        busy, _, _ = self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Unavailable
        self._doubtful = False

    def _all_at_once(self, batch: list[_Write]) -> bool:
        """The transaction up to its commit; False where a write failed, and everything is undone."""
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            for write in batch:
                write.result = write.change(self._connection)
        except Exception as error:  # noqa: BLE001 - told to whoever wanted that write, or met again one by one
            self._give_up_unless_open(error)
            if len(batch) > 1:
                self._raw.execute("ROLLBACK")
                return False
            batch[0].error = error
            self._raw.execute("ROLLBACK")
            self._raw.execute("BEGIN IMMEDIATE")
        return True

    def _one_by_one(self, batch: list[_Write]) -> None:
        self._raw.execute("BEGIN IMMEDIATE")
        for write in batch:
            self._raw.execute("SAVEPOINT one")
            try:
                write.result = write.change(self._connection)
            except Exception as error:  # noqa: BLE001 - told to whoever wanted that write
                write.error = error
                self._give_up_unless_open(error)
                self._raw.execute("ROLLBACK TO one")
            self._raw.execute("RELEASE one")

    def _give_up_unless_open(self, error: Exception) -> None:
        if not self._raw.in_transaction:
            # SQLite itself gave up the whole transaction (full disk, I/O error): nothing of the batch holds.
            raise Unavailable from error
