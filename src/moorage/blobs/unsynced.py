"""One sync for all small blobs of a moment, instead of three for each of them (docs/adr/0015, 0018).

Their bytes are durable elsewhere until then: a loss of power costs files, and no content.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from moorage.blobs.disk import is_settled_by_sync

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.blobs.files import Files

_CANNOT = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.EXDEV, errno.EPERM})
"""What filesystems without nameless files say."""


class UnsyncedFiles:
    """Files that are made one after the other and become durable together.

    Args:
        root: an existing directory; nothing above it is ever made.
        files: the system calls.

    Attributes:
        able: False once the filesystem has turned out to have no nameless files.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._root = root
        self._files = files
        self.able = True
        self._failed = False
        # Before the first write: of a write-back that fails the system tells who had the filesystem open by then.
        self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._device = os.fstat(self._descriptor).st_dev

    def __del__(self) -> None:
        os.close(self._descriptor)

    def check(self) -> None:
        """See that the root is where it was: what was mounted there may have gone, or something else may have come.

        Raises:
            OSError: it is not; `settle` would sync the old one.
        """
        if os.stat(self._root).st_dev != self._device:
            raise OSError(errno.EXDEV, "Another filesystem is there since the start", str(self._root))

    def create(self, path: Path, data: bytes, *, left: bool = False) -> bool:
        """Make a file, which the next `settle` makes durable; True also where it is there with these bytes.

        Never in place of another one: that may be durable. It is seen in whole or not at all.

        Args:
            path: of the file, below the root.
            data: the bytes.
            left: a file that is there may be of somebody who was told that a sync failed.

        Returns:
            False: other bytes are there, or perhaps only in the cache, where a sync has failed; or the filesystem has
                no nameless files.
        """
        if not self.able:
            return False
        self._make(path.parent)
        try:
            descriptor = self._files.open_nameless(path.parent)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self.able = False
            return False
        try:
            self._files.write(descriptor, data)
            self._files.give_name(descriptor, path)
        except FileExistsError:
            # What a sync could not write looks whole for as long as it is cached, and the next one says nothing of it.
            return not left and not self._failed and _holds(path, data)
        finally:
            os.close(descriptor)
        return True

    def settle(self) -> None:
        """Make durable what `create` has made, here and in other processes.

        Raises:
            OSError: the disk could not write something, ours or not; it says so once.
        """
        try:
            self._files.sync_filesystem(self._descriptor)
        except OSError:
            self._failed = True
            raise

    def _make(self, folder: Path) -> None:
        try:
            self._files.make_directory(folder)
        except FileNotFoundError:
            if folder.parent == self._root:  # it was there, and is not ours to make
                raise
            self._make(folder.parent)
            self._files.make_directory(folder)


def open_unsynced(root: Path, files: Files) -> UnsyncedFiles | None:
    """None where a sync of the whole filesystem promises less than one of each file."""
    return UnsyncedFiles(root, files) if root.is_dir() and is_settled_by_sync(root) else None


def _holds(path: Path, data: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(data) + 1) == data
    except FileNotFoundError:  # deleted in this moment
        return False
