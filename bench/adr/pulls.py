"""Pulls of large blobs from several versions of Moorage in turn: what the size of a chunk in ADR 2 was chosen by.

    python -m bench.adr.pulls FOLDER CHECKOUT... [docker-registry]

A checkout is a tree of this repository; all run with this one's Python and packages, two workers each. The bench's
works `blob10m` and `get500m`, as the bench measures them.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import rounds, works
from bench.adr.pushes import started

ROUNDS, SECONDS = 9, 1.5
NAMES = ["blob10m", "get500m"]


def main() -> None:
    """Print a line for each version and work."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    with TemporaryDirectory(dir=folder) as kept, started(names, folder) as running:
        files = works.make_files(Path(kept), NAMES)
        for one in running:
            works.stock(one, files)
        for name in NAMES:
            line = rounds.measure(works.WORKS[name], running, files, ROUNDS, SECONDS)
            for version, samples in line.samples.items():
                speed = statistics.median(one.value for one in samples) / 1e9
                server = statistics.median(1e12 * one.server / one.value for one in samples)
                sys.stdout.write(f"{name:8} {speed:5.2f} GB/s, {server:5.0f} ms of the server's CPU a GB   {version}\n")


if __name__ == "__main__":
    main()
