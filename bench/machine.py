"""What the numbers were measured on, and how much of it others used meanwhile."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path


def describe(folder: Path) -> dict[str, object]:
    """The machine in a few words: processor, cores, memory, kernel, filesystem of the folder, Python."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "filesystem": _filesystem(folder),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _filesystem(folder: Path) -> str:
    """The type of the filesystem that a folder is on (the longest mount point that contains it)."""
    best, kind = Path("/"), "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(str(best)):
            best, kind = Path(point), name
    return kind


class Meter:
    """Cores that the whole machine used since the meter was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._busy = busy()

    def cores(self) -> float:
        """Busy cores on average so far."""
        return (busy() - self._busy) / max(1e-6, time.perf_counter() - self._begin)


def busy() -> float:
    """CPU seconds that the machine has worked since it started: /proc/stat without idle and waiting for disks."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = (
        int(part) for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
