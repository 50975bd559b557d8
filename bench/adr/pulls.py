"""Pulls of large blobs from several versions of Moorage in turn: what the size of a chunk in ADR 2 was chosen by.

    python -m bench.adr.pulls FOLDER CHECKOUT... [docker-registry]

A checkout is a tree of this repository; all run with this one's Python and packages, two workers each. The bench's
works `blob10m` and `get500m`, each version in turn; medians of the rounds.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from bench import works
from bench.adr.pushes import start
from bench.programs import Running

ROUNDS, SECONDS = 9, 1.5
NAMES = ("blob10m", "get500m")

Round = tuple[float, float]
"""Gigabytes a second, and milliseconds of the server's CPU for one."""


def measure(name: str, running: Running, files: works.Files) -> Round:
    """One round."""
    one = works.sample(works.WORKS[name], running, files, SECONDS, "in turn")
    return one.value / 1e9, 1e3 * one.server / (one.value / 1e9)


def main() -> None:
    """Print a line for each version and work."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    files = works.make_files(folder, list(NAMES))
    with ExitStack() as stack:
        all_running = {name: start(name, folder) for name in names}
        for running in all_running.values():
            stack.callback(shutil.rmtree, running.folder)
            stack.callback(running.stop)
            works.stock(running, files)
        for work in NAMES:
            found: dict[str, list[Round]] = {name: [] for name in names}
            for _ in range(ROUNDS):
                for name, running in all_running.items():
                    found[name].append(measure(work, running, files))
            for name, rounds in found.items():
                speed, server = (statistics.median(column) for column in zip(*rounds, strict=True))
                sys.stdout.write(f"{work:8} {speed:5.2f} GB/s, {server:5.0f} ms of the server's CPU a GB   {name}\n")


if __name__ == "__main__":
    main()
