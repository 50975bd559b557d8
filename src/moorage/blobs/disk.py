"""What the filesystem backends do with the disk, as plain blocking functions; most of them run in a thread."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from typing import TYPE_CHECKING, cast

from moorage.blobs.layout import blob_location
from moorage.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from moorage.blobs.files import Files
    from moorage.core.digest import Digest

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_SYNC_FILE_RANGE_WRITE = 2
_SYNC_FILE_RANGE_ALL = 7  # wait for what is under way, write, wait for that


def _find(name: str, *arguments: type) -> Callable[..., int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return None
    function.argtypes = arguments
    return cast("Callable[..., int]", function)


_sync_file_range = _find("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_syncfs = _find("syncfs", ctypes.c_int)

SETTLED_BY_SYNC = frozenset({"ext4", "xfs", "tmpfs"})
"""Filesystems whose `syncfs` waits for the disk and tells what it could not write. Not among them: those that ask
another program or machine, and overlays, which do not hear of errors below them. (On tmpfs nothing is durable anyway.)
"""

MOUNTS = "/proc/self/mountinfo"

TELLING = (5, 8)
"""The Linux from which on `syncfs` tells of a write-back that failed before it was called."""


def size_of(path: Path) -> int | None:
    """The size of a file in bytes, or None where it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def open_whole(path: str, size: int) -> int:
    """Open a blob for reading.

    Raises:
        Unavailable: it is not there or not `size` bytes long, though the facts say so (damage, a lost disk).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _damaged(path, "is not there") from None
    found = os.fstat(descriptor).st_size
    if found != size:
        os.close(descriptor)
        raise _damaged(path, f"has {found} bytes instead of {size}")
    return descriptor


def read_whole(path: str, size: int) -> bytes:
    """The bytes of a small blob; raises as `open_whole` does."""
    descriptor = open_whole(path, size)
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)


def _damaged(path: str, what: str) -> Unavailable:
    error = Unavailable("The stored content is damaged; the operator finds which in the log.")
    error.add_note(f"{path} {what}")
    return error


def is_cached(descriptor: int, offset: int) -> bool:
    """Whether a byte is in the page cache, so that reading up to it does not wait for the disk."""
    if not _NOWAIT:
        return False
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, _NOWAIT) == 1
    except OSError:  # EAGAIN: it would wait; EOPNOTSUPP: the filesystem cannot tell
        return False


def names(directory: Path) -> list[str]:
    """The entries of a directory in order; none where it is not there."""
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def finished(directory: Path) -> list[str]:
    """The blobs of a directory in order: an entry without its data was deleted, or is just coming."""
    return [name for name in names(directory) if (directory / name / "data").is_file()]


def start_writeback(descriptor: int, offset: int, length: int) -> None:
    """Set the disk to work on bytes that were written, without waiting and without dropping them from the page cache.

    Advice only: where the call does not exist, the sync at the end does all the work.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)


def drop_written(descriptor: int, offset: int, length: int) -> None:
    """Wait until the disk has written bytes, and let go of the memory that they are cached in.

    Nothing happens where the system cannot do that. The bytes are not durable by this: a sync is still due.

    Raises:
        OSError: the disk could not write them. It says so once: a later sync may know nothing of it.
    """
    if _sync_file_range is None:
        return
    if _sync_file_range(descriptor, offset, length, _SYNC_FILE_RANGE_ALL):
        raise _error(ctypes.get_errno())
    os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


def sync_filesystem(descriptor: int) -> None:
    """Have everything written to the filesystem of an open file made durable.

    Raises:
        OSError: something could not be written, now or since the file was opened. It is said once.
    """
    if _syncfs is None:
        raise _error(errno.ENOSYS)
    if _syncfs(descriptor):
        raise _error(ctypes.get_errno())


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def is_settled_by_sync(directory: Path) -> bool:
    """Whether `sync_filesystem` promises for files below a directory what a sync of each would."""
    if _syncfs is None or not _is_telling(os.uname().release):
        return False
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open(MOUNTS, encoding="utf-8", errors="replace") as mounts:
            kinds = {line.partition(" - ")[2].split()[0] for line in mounts if line.split()[2] == wanted}
    except (OSError, IndexError):
        return False
    return bool(kinds) and kinds <= SETTLED_BY_SYNC


def _is_telling(release: str) -> bool:
    numbers = re.match(r"([0-9]{1,9})\.([0-9]{1,9})", release)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= TELLING


def make_directories(files: Files, top: Path, directory: Path) -> None:
    """Make `directory` and what lacks between it and `top`, each entry durable in its parent.

    One that is there already is synced too, once in a process: whoever made it may not have come to that, or not yet.
    """
    if directory == top or (directory in files.durable and directory.is_dir()):
        return
    make_directories(files, top, directory.parent)
    files.make_directory(directory)
    files.sync_directory(directory.parent)
    files.durable.add(directory)


def open_below(files: Files, top: Path, path: Path, flags: int) -> int:
    """Open a file; where it is to be made, the directories between it and `top` are made, too, if they lack.

    Raises:
        FileNotFoundError: it is not there, and `flags` make none.
    """
    try:
        return files.open(path, flags)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
        make_directories(files, top, path.parent)
        return files.open(path, flags)


def publish(files: Files, root: Path, source: Path, digest: Digest) -> None:
    """Give a finished, synced file its place as a blob: rename, then make the entries on the way to it durable."""
    target = root / blob_location(digest)
    folder = target.parent
    if folder.parent not in files.durable:
        make_directories(files, root, folder.parent)
    try:
        files.make_directory(folder)
    except FileNotFoundError:  # somebody removed the one above it
        make_directories(files, root, folder.parent)
        files.make_directory(folder)
    files.rename(source, target)
    # In this order a journalling filesystem carries the second with the first. The second is due also where the folder
    # was there: whoever made it may not have come so far.
    files.sync_directory(folder)
    files.sync_directory(folder.parent)
