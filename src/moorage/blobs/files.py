"""The system calls that bytes go through, each behind a named point (see `moorage.telemetry.probe`)."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from moorage.blobs.disk import drop_written, sync_filesystem
from moorage.telemetry.probe import no_probe

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.telemetry.probe import Probe


_NAMELESS: int = getattr(os, "O_TMPFILE", -1)


class Files:
    """Plain calls of `os`; the point's name is told before each, `<name>-done` after each that changes something.

    Attributes:
        durable: directories of the layout (never one a blob) whose entries this process knows to be on the disk.
    """

    def __init__(self, probe: Probe = no_probe) -> None:
        self._probe = probe
        self.durable: set[Path] = set()

    def open(self, path: Path, flags: int) -> int:
        """Open a file, 0640 where it is made."""
        self._probe("open")
        return os.open(path, flags | os.O_CLOEXEC, 0o640)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of `data` at the descriptor's place."""
        self._probe("write")
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        self._probe("write-done")

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file to `size` bytes."""
        self._probe("truncate")
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes durable."""
        self._probe("fsync")
        os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
        self._probe("fsync-done")

    def drop(self, descriptor: int, offset: int, length: int) -> None:
        """Have bytes written and let go of their memory; not durable yet, but an error is told here and never again."""
        self._probe("fsync")
        drop_written(descriptor, offset, length)

    def sync_directory(self, path: Path) -> None:
        """Make a directory's entries durable."""
        self._probe("fsync-directory")
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._probe("fsync-directory-done")

    def open_nameless(self, folder: Path) -> int:
        """Open a new file that no entry leads to; it goes with the process unless it is given a name.

        Raises:
            OSError: among others where the filesystem has no such files.
        """
        self._probe("open")
        return os.open(folder, os.O_WRONLY | _NAMELESS | os.O_CLOEXEC, 0o640)

    def give_name(self, descriptor: int, path: Path) -> None:
        """Give a nameless file its name.

        Raises:
            FileExistsError: something has it.
        """
        self._probe("link")
        # A descriptor for relative paths, though there is none: without it Python calls link(2), which does not follow.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        self._probe("link-done")

    def sync_filesystem(self, descriptor: int) -> None:
        """Make everything durable that was written to the filesystem of an open file or directory."""
        self._probe("syncfs")
        sync_filesystem(descriptor)
        self._probe("syncfs-done")

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of whatever has it."""
        self._probe("rename")
        os.rename(source, target)
        self._probe("rename-done")

    def make_directory(self, path: Path) -> bool:
        """Make a directory; False where it is there already."""
        self._probe("mkdir")
        try:
            os.mkdir(path, 0o750)
        except FileExistsError:
            return False
        self._probe("mkdir-done")
        return True

    def unlink(self, path: Path) -> None:
        """Remove a file, if it is there."""
        self._probe("unlink")
        with suppress(FileNotFoundError):
            os.unlink(path)
        self._probe("unlink-done")
