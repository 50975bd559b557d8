"""Where the worker processes of one run share their numbers."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_BASES = ("/dev/shm",)  # noqa: S108 - who owns what is found there is checked
_RUN = "run-"
_ALIVE = "alive"


def prepare_directory(root: Path | None = None) -> Path:
    """A new, empty directory for the metrics of this run, and those of dead runs beside it removed.

    To be called by the supervisor once, before it starts workers. The run counts as alive until the
    supervisor and every process that it forked have ended, told by a lock and not by a pid: containers that
    share a folder see other pids.

    Args:
        root: the folder of all runs; best in memory (the default, see `memory_folder`), since a mapped file
            on a busy disk can make its writer wait for the disk.

    Raises:
        OSError: the folder cannot be made or written.
    """
    home = memory_folder() if root is None else root
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    guard = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: then nothing looks dead either
            fcntl.flock(guard, fcntl.LOCK_EX)
        for run in home.glob(f"{_RUN}*"):
            if _is_dead(run):
                shutil.rmtree(run, ignore_errors=True)
        run = Path(tempfile.mkdtemp(prefix=_RUN, dir=home))
        # Left open on purpose: the kernel lets go of the lock when the last process that has it ends.
        alive = os.open(run / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return run
    finally:
        os.close(guard)


def remove_directory(run: Path) -> None:
    """Remove what `prepare_directory` made, when the last worker has ended. Never raises OSError."""
    shutil.rmtree(run, ignore_errors=True)


def memory_folder() -> Path:
    """A folder in memory, or else in the system's temporary folder, that only this user can write."""
    user = os.geteuid()
    for base in (*_BASES, tempfile.gettempdir()):
        folder = Path(base) / f"moorage-{user}"
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            status = folder.lstat()
            if status.st_uid == user and folder.is_dir() and not folder.is_symlink() and not status.st_mode & 0o077:
                return folder
    return Path(tempfile.mkdtemp(prefix="moorage-"))


def _is_dead(run: Path) -> bool:
    try:
        descriptor = os.open(run / _ALIVE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # ended between making the folder and the file: the guard says that nobody is there now
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
