"""Rows of hot lookups, kept in memory for as long as nobody commits anything.

SQLite's own readers tell whether they may go on with what they know by the header of the log's index, the file with the
ending `-shm` that all connections of all processes have in common: each commit changes it, before it returns. The same
96 bytes tell it here, without a call of SQLite, which would let go of the interpreter's lock several times
(https://www.sqlite.org/walformat.html, section 2.1; docs/adr/0016).
"""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.metadata.database import Lookup, Row

    Key = tuple[Lookup, tuple[object, ...]]

MOST_ROWS = 2000
"""Rows that are kept at a time; then all are forgotten."""

MOST_BYTES = 1024 * 1024
"""Bytes of text and payloads in them."""

LARGEST = 16 * 1024
"""Bytes of one row; a larger manifest is sent for longer than it is looked for."""

_HEADER = 48
_BOTH = 2 * _HEADER  # it stands twice; the second is written first
_IS_MADE = 12  # the byte that says so
_FRAMES = slice(16, 20)  # how many the log has
_NO_FRAMES = bytes(4)


class KeptRows:
    """The rows of one database file, for any number of threads."""

    def __init__(self) -> None:
        self._index: _Index | None = None
        self._view: mmap.mmap | None = None
        self._kept = _Generation(b"")

    def open(self, path: Path) -> None:
        """Begin. A connection to the database at `path` has to be open, and to stay so until `close`.

        Raises:
            RuntimeError: there is no memory for it. No connection of this process may be used any more.
        """
        self._index = _share(Path(f"{path.resolve()}-shm"))  # beside what a symbolic link leads to, says SQLite
        self._view = self._index.view if self._index is not None else None

    def close(self) -> None:
        """Forget all. The connections of this process that go with it have to be closed before."""
        index, self._index, self._view = self._index, None, None
        if index is not None:
            _give_back(index)

    def find(self, query: Lookup, values: tuple[object, ...]) -> Row | None:
        """The row that `keep` was given, if it still stands."""
        kept = self._kept
        if self._view is not None and self._view[:_BOTH] == kept.stamp:
            return kept.rows.get((query, values))
        return None

    def stamp(self) -> bytes:
        """What the database is like now, for `keep`; empty where that cannot be told."""
        found = self._view[:_BOTH] if self._view is not None else b""
        # Halves that differ are of a commit that is just being made, or of one whose process was killed at it: SQLite
        # sees to that with its next look. Of an empty log its repair makes the same header each time.
        told = found and found[_IS_MADE] and found[_FRAMES] != _NO_FRAMES
        return found if told and found[:_HEADER] == found[_HEADER:] else b""

    def keep(self, stamp: bytes, query: Lookup, values: tuple[object, ...], row: Row) -> None:
        """Keep a row.

        Args:
            stamp: of before it was looked up; where something was committed since, nothing is kept.
            query: what it was found by.
            values: see query.
            row: as found.
        """
        size = sum(len(value) for value in (*row, *values) if isinstance(value, bytes | str))
        if not stamp or size > LARGEST or self.stamp() != stamp:
            return
        kept = self._kept
        if kept.stamp != stamp or kept.bytes + size > MOST_BYTES or len(kept.rows) >= MOST_ROWS:
            kept = self._kept = _Generation(stamp)
        kept.bytes += size
        kept.rows[query, values] = row


class _Generation:
    """What is known of one state of the database."""

    __slots__ = ("bytes", "rows", "stamp")

    def __init__(self, stamp: bytes) -> None:
        self.stamp = stamp
        self.rows: dict[Key, Row] = {}
        self.bytes = 0


class _Index:
    """An index of a log as this process sees it, once for all who look at it.

    Closing any descriptor of a file drops the locks that the process has on it (POSIX; https://sqlite.org/howtocorrupt.html,
    section 2.2), SQLite's own among them. So it is closed when the last who looks has closed his connections.
    """

    def __init__(self, path: Path, key: tuple[int, int]) -> None:
        self.key = key
        self.users = 0
        self.view: mmap.mmap | None = None
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.view = mmap.mmap(self.descriptor, _BOTH, access=mmap.ACCESS_READ)
        except ValueError:  # it is shorter than that
            pass
        except OSError as error:
            # Python has closed a copy of the descriptor that it made: the locks are gone.
            raise RuntimeError(f"{path} cannot be mapped: {error.strerror}") from error


_lock = threading.Lock()
_indexes: dict[tuple[int, int], _Index] = {}


def _share(path: Path) -> _Index | None:
    with _lock, suppress(OSError):
        found = path.stat()
        key = found.st_dev, found.st_ino
        index = _indexes.get(key) or _indexes.setdefault(key, _Index(path, key))
        index.users += 1
        return index
    return None


def _give_back(index: _Index) -> None:
    with _lock:
        index.users -= 1
        if index.users:
            return
        del _indexes[index.key]
        if index.view is not None:
            index.view.close()
        os.close(index.descriptor)
