"""What the program under test is to do at which point: a page of memory that a test and the program share.

The test arms it when everything is prepared, so one start of the program serves many cases. The program asks at every
point, which costs a comparison as long as nothing is armed.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import sqlite3
import struct
import threading
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

# Each is told before the call it is named after, the ones with `-done` after a call that changed something.
FAILABLE = (
    "open",
    "write",
    "truncate",
    "fsync",
    "fsync-directory",
    "rename",
    "mkdir",
    "unlink",
    "commit",
    "log-sync",
    "link",
    "syncfs",
)
POINTS = (
    *FAILABLE,
    "write-done",
    "fsync-done",
    "fsync-directory-done",
    "rename-done",
    "mkdir-done",
    "unlink-done",
    "commit-done",
    "log-sync-done",
    "link-done",
    "syncfs-done",
    "response",
)
ANY = "any"
"""Stands for each of `FAILABLE`."""


class Action(IntEnum):
    """What happens at the armed point."""

    NOTHING = 0
    FAIL = 1
    KILL_ALL = 2
    KILL_WORKER = 3


@dataclass(frozen=True)
class Armed:
    """One thing that is to happen, once.

    Attributes:
        action: see there.
        point: one of `POINTS`, or `ANY`.
        nth: at which passing of it, from 1.
        error: for `FAIL` the errno; at `commit` it is raised as SQLite would.
    """

    action: Action
    point: str = ANY
    nth: int = 1
    error: int = errno.EIO


class Plan:
    """The shared page.

    Args:
        path: of the file behind it; made where it is not there.
    """

    # action, point (index in POINTS, -1 for any), passings to go, errno, fired, how many points were recorded
    _HEAD = struct.Struct("<6i")
    _RECORDS = 64
    _SIZE = 4096

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, self._SIZE)
            self._page = mmap.mmap(descriptor, self._SIZE)
        finally:
            os.close(descriptor)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the page."""
        self._page.close()

    def arm(self, armed: Armed) -> None:
        """Let it happen from now on; what was recorded before is forgotten."""
        point = -1 if armed.point == ANY else POINTS.index(armed.point)
        self._HEAD.pack_into(self._page, 0, int(armed.action), point, armed.nth, armed.error, 0, 0)

    def disarm(self) -> bool:
        """Let nothing happen any more; True where it had happened."""
        fired = self.fired
        self._page[:4] = b"\0\0\0\0"
        return fired

    @property
    def fired(self) -> bool:
        """Whether the armed thing has happened."""
        return bool(self._HEAD.unpack_from(self._page)[4])

    def passed(self) -> list[str]:
        """The points that were passed since the plan was armed, in order."""
        count = self._HEAD.unpack_from(self._page)[5]
        return [POINTS[code] for code in self._page[self._RECORDS : self._RECORDS + count]]

    def __call__(self, point: str) -> None:
        """The probe: called by the program at each point.

        Raises:
            OSError, sqlite3.OperationalError: as armed.
        """
        with self._lock:
            action, armed, to_go, error, fired, count = self._HEAD.unpack_from(self._page)
            code = POINTS.index(point)
            if self._RECORDS + count < self._SIZE:
                self._page[self._RECORDS + count] = code
                count += 1
            hit = action and not fired and (code == armed or (armed == -1 and point in FAILABLE))
            to_go -= bool(hit)
            fires = bool(hit) and to_go == 0
            self._HEAD.pack_into(self._page, 0, action, armed, to_go, error, fired or fires, count)
        if fires:
            _happen(Action(action), point, error)


def _happen(action: Action, point: str, error: int) -> None:
    if action == Action.KILL_ALL:
        os.killpg(os.getpgid(0), signal.SIGKILL)  # workers and supervisor; each test gives them a group of their own
    elif action == Action.KILL_WORKER:
        os.kill(os.getpid(), signal.SIGKILL)
    elif point == "commit":
        raise sqlite3.OperationalError("database or disk is full" if error == errno.ENOSPC else "disk I/O error")
    else:
        raise OSError(error, os.strerror(error))
