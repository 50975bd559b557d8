"""A model of a disk that loses power: which files and entries are certainly there, and which only perhaps.

`Recorder` writes down every call that the program makes; `Disk` repeats the first so many of them and then says what a
journalling filesystem may show after the power was cut:

- a file's bytes are certain up to its last sync; of what was written since, any 4 KiB block may be there or not;
- a directory's entries are certain as of its last sync; of the changes since, any number in order may be there;
- a rename is one change: never half of it.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

from moorage.blobs.files import Files
from moorage.telemetry.probe import Probe

BLOCK = 4096


@dataclass(frozen=True)
class Call:
    """One call, or a mark of the test (`what` is "commit", "log-sync", "asked" or "answered")."""

    what: str
    path: Path = Path()
    to: Path = Path()
    data: bytes = b""
    size: int = 0
    value: object = None


class Recorder(Files):
    """The system calls, each written down once it was made."""

    def __init__(self, calls: list[Call], probe: Probe) -> None:
        super().__init__(probe)
        self._calls = calls
        self._opened: dict[int, Path] = {}
        self._lock = threading.Lock()

    def open(self, path: Path, flags: int) -> int:
        with self._lock:
            new = not path.exists()
            descriptor = super().open(path, flags)
            self._opened[descriptor] = path
            if new:
                self._calls.append(Call("create", path))
            return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        with self._lock:
            start = os.fstat(descriptor).st_size  # every file here is written at its end
            super().write(descriptor, data)
            self._calls.append(Call("write", self._opened[descriptor], data=bytes(data), size=start))

    def truncate(self, descriptor: int, size: int) -> None:
        with self._lock:
            super().truncate(descriptor, size)
            self._calls.append(Call("truncate", self._opened[descriptor], size=size))

    def sync(self, descriptor: int) -> None:
        with self._lock:
            super().sync(descriptor)
            self._calls.append(Call("sync", self._opened[descriptor]))

    def sync_directory(self, path: Path) -> None:
        with self._lock:
            super().sync_directory(path)
            self._calls.append(Call("sync-directory", path))

    def open_nameless(self, folder: Path) -> int:
        with self._lock:
            descriptor = super().open_nameless(folder)
            self._opened[descriptor] = Path(f"nameless/{len(self._calls)}")
            self._calls.append(Call("nameless", self._opened[descriptor]))
            return descriptor

    def give_name(self, descriptor: int, path: Path) -> None:
        with self._lock:
            super().give_name(descriptor, path)
            self._calls.append(Call("link", self._opened[descriptor], path))
            self._opened[descriptor] = path

    def sync_filesystem(self, descriptor: int) -> None:
        with self._lock:
            super().sync_filesystem(descriptor)
            self._calls.append(Call("sync-all"))

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            super().rename(source, target)
            for descriptor, path in self._opened.items():
                if path == source:
                    self._opened[descriptor] = target
            self._calls.append(Call("rename", source, target))

    def make_directory(self, path: Path) -> bool:
        with self._lock:
            made = super().make_directory(path)
            if made:
                self._calls.append(Call("mkdir", path))
            return made

    def unlink(self, path: Path) -> None:
        with self._lock:
            there = path.exists()
            super().unlink(path)
            if there:
                self._calls.append(Call("unlink", path))


@dataclass
class _File:
    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""

    def after_loss(self, chance: random.Random | None) -> bytes:
        """The synced bytes, and of the others none (no chance given) or some of the blocks."""
        if chance is None or self.now == self.synced:
            return self.synced
        old, new = len(self.synced), len(self.now)
        size = chance.choice((old, new, new, chance.randint(min(old, new), max(old, new))))
        result = bytearray(size)
        for start in range(0, size, BLOCK):
            source = self.now if chance.random() < 0.5 else self.synced
            piece = source[start : min(start + BLOCK, size)]
            result[start : start + len(piece)] = piece
        return bytes(result)


@dataclass
class _Change:
    """Of one directory's entries, or of two in a rename."""

    path: Path
    file: _File | None = None  # None: a directory is made, or the entry is removed
    removed: bool = False
    moved_from: Path | None = None
    durable: bool = False

    def parents(self) -> set[Path]:
        return {path.parent for path in (self.path, self.moved_from) if path is not None}


class Disk:
    """The state after some calls.

    Args:
        root: the only directory that is certainly there, with `uploads` in it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[Path, _File] = {}
        self._changes: list[_Change] = []

    def repeat(self, call: Call) -> None:
        """Let one more call have been made."""
        if call.what == "create":
            self._files[call.path] = _File()
            self._changes.append(_Change(call.path, self._files[call.path]))
        elif call.what == "nameless":
            self._files[call.path] = _File()
        elif call.what == "link":
            self._files[call.to] = self._files.pop(call.path)
            self._changes.append(_Change(call.to, self._files[call.to]))
        elif call.what == "sync-all":
            self._sync_all()
        elif call.what == "write":
            self._files[call.path].now[call.size :] = call.data
        elif call.what == "truncate":
            del self._files[call.path].now[call.size :]
        elif call.what == "sync":
            self._files[call.path].synced = bytes(self._files[call.path].now)
        elif call.what == "sync-directory":
            self._sync_directory(call.path)
        elif call.what == "rename":
            file = self._files[call.to] = self._files.pop(call.path)
            self._changes.append(_Change(call.to, file, moved_from=call.path))
        elif call.what == "mkdir":
            self._changes.append(_Change(call.path))
        elif call.what == "unlink":
            self._files.pop(call.path, None)
            self._changes.append(_Change(call.path, removed=True))

    def _sync_all(self) -> None:
        for file in self._files.values():
            file.synced = bytes(file.now)
        for change in self._changes:
            change.durable = True

    def _sync_directory(self, path: Path) -> None:
        # A change that moves a file carries with it what made the file there.
        carried = {path}
        for change in reversed(self._changes):
            if carried & change.parents():
                change.durable = True
                if change.moved_from is not None:
                    carried |= change.parents()

    def after_loss(self, chance: random.Random | None, *, all_entries: bool = False) -> dict[Path, bytes]:
        """The files that are found when the power is back.

        Args:
            chance: decides about what is not certain; None: nothing of it is there.
            all_entries: every change of a directory is there, whatever of the bytes is.
        """
        folders = {self._root, self._root / "uploads"}
        found: dict[Path, _File] = {}
        stopped: set[Path] = set()
        for change in self._changes:
            kept = change.durable or all_entries
            if not kept:
                kept = chance is not None and not (change.parents() & stopped) and chance.random() < 0.7
            if not kept:
                stopped |= change.parents()
                continue
            _apply(change, folders, found)
        return {path: file.after_loss(chance) for path, file in found.items() if self._is_reachable(path, folders)}

    def _is_reachable(self, path: Path, folders: set[Path]) -> bool:
        while path != self._root:
            path = path.parent
            if path not in folders:
                return False
        return True


def _apply(change: _Change, folders: set[Path], found: dict[Path, _File]) -> None:
    if change.moved_from is not None:
        found.pop(change.moved_from, None)
    if change.removed:
        found.pop(change.path, None)
    elif change.file is not None:
        found[change.path] = change.file
    else:
        folders.add(change.path)
