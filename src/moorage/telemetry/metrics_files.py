"""The files that worker processes share their numbers in: prometheus_client's format, with space reserved."""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.utils import floatToGoString

_SPACE = {"counter": 1 << 16, "histogram": 1 << 18}
_LEAST = 1 << 14
_HEAD = 8


class ValueFile:
    """One process's numbers of one metric type. Not for several threads.

    Args:
        directory: shared by the workers.
        kind: `counter`, `histogram` or `gauge_` and a mode: the file's name tells the reader how to merge it.
        pid: of the process that writes.

    Raises:
        OSError: no space. The methods `read` and `write` raise it too, where a new key needs the file to
            grow.
    """

    def __init__(self, directory: Path, kind: str, pid: int) -> None:
        self.path = directory / f"{kind}_{pid}.db"
        self._reserve(_SPACE.get(kind, _LEAST))
        self._open()

    def read(self, key: str) -> float:
        """The number under `key`, which is 0 where it is new."""
        self._make_room(key)
        value, _ = self._values.read_value(key)  # type: ignore[no-untyped-call]
        return float(value)

    def write(self, key: str, value: float, timestamp: float = 0.0) -> None:
        """Set the number under `key`; `timestamp` (seconds since 1970) where the latest gauge counts."""
        self._make_room(key)
        self._values.write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Unmap the file, which stays."""
        self._unmap()

    def _reserve(self, size: int) -> None:
        """Make a file full of zeros, which readers take for an empty one; one that is there already stays.

        Under another name first: the library's reader fails on a file without its header.
        """
        if self.path.exists():
            return
        new = self.path.with_suffix(".new")
        try:
            _append_zeros(new, size, os.O_TRUNC)
            new.replace(self.path)
        finally:
            new.unlink(missing_ok=True)

    def _open(self) -> None:
        self._values = MmapedDict(str(self.path))  # type: ignore[no-untyped-call]
        self._unmap = weakref.finalize(self, self._values.close)
        with self.path.open("rb") as file:
            (self._used,) = struct.unpack("i", file.read(4))
        self._size = self.path.stat().st_size
        stored = MmapedDict.read_all_values_from_file(str(self.path))  # type: ignore[no-untyped-call]
        self._keys = {key for key, *_ in stored}

    def _make_room(self, key: str) -> None:
        """The library would grow the file by a hole; so grow it before, by bytes."""
        if key in self._keys:
            return
        length = len(key.encode())
        record = 4 + length + (8 - (length + 4) % 8) + 16
        if self._used + record > self._size:
            _append_zeros(self.path, max(self._size, record), os.O_APPEND)
            self.close()
            self._open()
        self._keys.add(key)
        self._used += record


def counter_key(name: str, text: str, labels: Mapping[str, str]) -> str:
    """The key of a counter; `name` without `_total`."""
    return mmap_key(name, f"{name}_total", list(labels), list(labels.values()), text)


def gauge_key(name: str, text: str) -> str:
    """The key of a gauge without labels."""
    return mmap_key(name, name, [], [], text)


def histogram_keys(name: str, text: str, labels: Mapping[str, str], bounds: Sequence[float]) -> tuple[str, list[str]]:
    """The key of a histogram's sum, and those of its buckets with the one for what is above all bounds."""
    names, values = list(labels), list(labels.values())
    limits = [floatToGoString(bound) for bound in (*bounds, float("inf"))]  # type: ignore[no-untyped-call]
    buckets = [mmap_key(name, f"{name}_bucket", [*names, "le"], [*values, limit], text) for limit in limits]
    return mmap_key(name, f"{name}_sum", names, values, text), buckets


def worker_pids(directory: Path) -> set[int]:
    """The processes, alive or dead, that wrote into `directory`."""
    names = (path.stem.rpartition("_")[2] for path in directory.glob("*.db"))
    return {int(name) for name in names if name.isascii() and name.isdigit()}


def mark_dead(directory: Path, pid: int) -> None:
    """Forget what only a living process says (gauges). What it counted stays, since counters never fall."""
    mark_process_dead(pid, path=str(directory))  # type: ignore[no-untyped-call]


def _append_zeros(path: Path, size: int, flag: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o600)
    try:
        left = size
        while left:
            left -= os.write(descriptor, bytes(left))
    finally:
        os.close(descriptor)
