"""Rows that are kept until somebody commits, whoever it is; with real SQLite, and other processes that write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select

from moorage.metadata import kept_rows
from moorage.metadata.database import Lookup
from moorage.metadata.kept_rows import KeptRows
from moorage.metadata.sqlite import open_connection
from moorage.metadata.tables import repositories

BY_NAME = Lookup(select(repositories.c.id).where(repositories.c.name == bindparam("name")), ("name",), kept=True)
SHM_DMS = 128
"""The byte of the index on which SQLite keeps a lock for as long as a connection is open (unixShmSystemLock)."""

LOCKED = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))
except OSError:
    print("locked")
"""
WRITING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    connection.execute("UPDATE facts SET value = ?", (int(line),))
    print(line, end="", flush=True)
"""

WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
from moorage.metadata.kept_rows import KeptRows
from moorage.metadata.sqlite import open_connection
connection = open_connection(Path(sys.argv[1]))
connection.execute("SELECT * FROM facts").fetchall()
rows = KeptRows()
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (1, before[1]))
try:
    rows.open(Path(sys.argv[1]))
except RuntimeError as error:
    print(error)
finally:
    resource.setrlimit(resource.RLIMIT_AS, before)
"""


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", program, *map(str, arguments)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "facts.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_connection(path)) as opened:
        opened.execute("CREATE TABLE facts (value INTEGER)")
        opened.execute("INSERT INTO facts VALUES (0)")
        yield opened


@pytest.fixture
def rows(path: Path, connection: sqlite3.Connection) -> Iterator[KeptRows]:
    kept = KeptRows()
    kept.open(path)
    yield kept
    connection.close()
    kept.close()


def keep(rows: KeptRows, name: str, row: tuple[object, ...] = (1,)) -> None:
    rows.keep(rows.stamp(), BY_NAME, (name,), row)


def test_a_row_is_kept_until_the_next_commit(rows: KeptRows, connection: sqlite3.Connection) -> None:
    keep(rows, "a")
    assert rows.find(BY_NAME, ("a",)) == (1,)
    assert rows.find(BY_NAME, ("b",)) is None
    connection.execute("SELECT * FROM facts").fetchall()
    assert rows.find(BY_NAME, ("a",)) == (1,)
    connection.execute("UPDATE facts SET value = 1")
    assert rows.find(BY_NAME, ("a",)) is None


def test_what_is_not_committed_changes_nothing(rows: KeptRows, connection: sqlite3.Connection) -> None:
    keep(rows, "a")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE facts SET value = 7")
    assert rows.find(BY_NAME, ("a",)) == (1,)
    connection.execute("ROLLBACK")
    assert rows.find(BY_NAME, ("a",)) == (1,)


def test_a_row_that_was_looked_up_before_a_commit_is_not_kept(rows: KeptRows, connection: sqlite3.Connection) -> None:
    before = rows.stamp()
    connection.execute("UPDATE facts SET value = 1")
    rows.keep(before, BY_NAME, ("a",), (1,))
    assert rows.find(BY_NAME, ("a",)) is None
    keep(rows, "a")
    assert rows.find(BY_NAME, ("a",)) == (1,)


def test_a_checkpoint_that_empties_the_log_makes_nothing_of_old_current(
    rows: KeptRows, connection: sqlite3.Connection
) -> None:
    """The log begins anew, with the same number of frames as before."""
    for turn in range(3):
        connection.execute("UPDATE facts SET value = value + 1")
        assert rows.find(BY_NAME, ("a",)) is None
        keep(rows, "a", (turn,))
        assert rows.find(BY_NAME, ("a",)) == (turn,)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def test_under_an_empty_log_nothing_is_kept(rows: KeptRows, connection: sqlite3.Connection) -> None:
    """Its header may come again, made by a repair."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    keep(rows, "a")
    assert rows.find(BY_NAME, ("a",)) is None
    connection.execute("UPDATE facts SET value = value + 1")
    keep(rows, "a")
    assert rows.find(BY_NAME, ("a",)) == (1,)


def test_a_commit_of_another_process_is_seen_as_soon_as_it_says_so(
    rows: KeptRows, connection: sqlite3.Connection, path: Path
) -> None:
    process = subprocess.Popen(python(WRITING, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(1, 1001):
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            # Asked meanwhile too, so that rows of before, of after and of in between are kept.
            for _ in range(number % 4):
                stamp = rows.stamp()
                found = connection.execute("SELECT value FROM facts").fetchone()
                rows.keep(stamp, BY_NAME, ("a",), found)
            assert int(process.stdout.readline()) == number
            known = rows.find(BY_NAME, ("a",))
            assert known is None or known == (number,)
        process.stdin.close()
    assert process.returncode == 0


def test_a_commit_whose_process_was_killed_at_it_is_left_to_sqlite(tmp_path: Path) -> None:
    """The second half of the header is written first: where they differ, somebody has to repair it."""
    index = tmp_path / "half.db-shm"
    half = bytes(range(48))
    index.write_bytes(half + half)
    rows = KeptRows()
    rows.open(tmp_path / "half.db")
    keep(rows, "a")
    assert rows.find(BY_NAME, ("a",)) == (1,)
    with index.open("r+b") as file:
        file.seek(48)
        file.write(b"\xff")
    assert rows.stamp() == b""
    assert rows.find(BY_NAME, ("a",)) is None
    keep(rows, "a")
    assert rows.find(BY_NAME, ("a",)) is None
    rows.close()


def test_an_index_that_is_not_made_yet_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "new.db-shm").write_bytes(bytes(96))
    rows = KeptRows()
    rows.open(tmp_path / "new.db")
    assert rows.stamp() == b""
    rows.close()


@pytest.mark.parametrize("content", [None, b""])
def test_without_an_index_nothing_is_kept(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "none.db-shm").write_bytes(content)
    rows = KeptRows()
    rows.open(tmp_path / "none.db")
    keep(rows, "a")
    assert rows.find(BY_NAME, ("a",)) is None
    rows.close()


def test_rows_are_bounded_in_number_and_size(rows: KeptRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_rows, "MOST_ROWS", 3)
    monkeypatch.setattr(kept_rows, "MOST_BYTES", 100)
    monkeypatch.setattr(kept_rows, "LARGEST", 60)
    for name in "abc":
        keep(rows, name)
    assert all(rows.find(BY_NAME, (name,)) for name in "abc")
    keep(rows, "d")
    assert [name for name in "abcd" if rows.find(BY_NAME, (name,))] == ["d"]
    keep(rows, "e", (b"x" * 60,))
    assert rows.find(BY_NAME, ("e",)) is None
    keep(rows, "f", (b"x" * 59,))
    assert [name for name in "df" if rows.find(BY_NAME, (name,))] == ["d", "f"]
    keep(rows, "g", ("x" * 39,))
    assert [name for name in "dfg" if rows.find(BY_NAME, (name,))] == ["g"]


def test_who_leaves_drops_no_lock_of_those_who_stay(path: Path, connection: sqlite3.Connection) -> None:
    """Closing a descriptor drops all locks of the process on its file, where it was not the last (POSIX)."""
    index = f"{path}-shm"
    connection.execute("SELECT * FROM facts").fetchall()
    first, second = KeptRows(), KeptRows()
    first.open(path)
    second.open(path)
    first.close()
    seen = subprocess.run(python(LOCKED, index, SHM_DMS), capture_output=True, text=True, check=True)
    assert seen.stdout == "locked\n"
    connection.close()
    second.close()


@pytest.mark.usefixtures("connection")
def test_where_the_index_cannot_be_mapped_its_process_does_not_begin(path: Path) -> None:
    """Python closes a descriptor of its own then, and the locks are gone: nobody may go on with that database."""
    seen = subprocess.run(python(WITHOUT_ROOM, path), capture_output=True, text=True, check=True)
    assert "cannot be mapped: Cannot allocate memory" in seen.stdout
