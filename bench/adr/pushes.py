"""Pushes of small images to several versions of Moorage in turn: what ADR 14, 15 and 18 were measured with.

    python -m bench.adr.pushes FOLDER CHECKOUT... [docker-registry]

A checkout is a tree of this repository; all run with this one's Python and packages, two workers each. Eight clients
push images of five layers of 2 kB and a configuration over HTTP, to each version in turn; medians of the rounds.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.programs import PROGRAMS, Plan, Program, Running
from bench.pushers import push
from bench.wire import Address

ROUNDS, SECONDS, CLIENTS = 7, 2.0, 8

Round = tuple[float, float, float]
"""Images a second, milliseconds of the server's CPU for one, and of the clients'."""


def checkout(tree: Path) -> Program:
    """The registry of a tree."""

    def plan(binary: str, folder: Path, at: Address) -> Plan:
        """Two workers, no authentication."""
        where = ["--host", at.host, "--port", str(at.port), "--root", str(folder / "data")]
        return Plan([binary, "-m", "moorage", "serve", *where, "--workers", "2"], {"PYTHONPATH": str(tree / "src")})

    return Program(str(tree), str(tree), (sys.executable,), plan, (), "/readyz")


def start(name: str, folder: Path) -> Running:
    """A running program: one of the bench's own, or a checkout's."""
    program = PROGRAMS.get(name) or checkout(Path(name).resolve())
    binary = program.find()
    if binary is None:
        raise BenchError(f"{name} is not installed")
    running = Running(program, binary, folder / str(uuid.uuid4()))
    running.wait_ready()
    return running


@contextmanager
def started(names: list[str], folder: Path) -> Iterator[list[Running]]:
    """Running programs in the order of their names; ended, and their folders removed, at the end."""
    with ExitStack() as stack:
        running = []
        for name in names:
            one = start(name, folder)
            stack.callback(shutil.rmtree, one.folder)
            stack.callback(one.stop)
            running.append(one)
        yield running


def measure(running: Running, label: str) -> Round:
    """One round."""
    before = running.cpu()
    pushed = push(running.at, CLIENTS, SECONDS, label)
    used = running.cpu() - before
    return pushed.images / pushed.seconds, 1e3 * used / pushed.images, 1e3 * pushed.cpu / pushed.images


def main() -> None:
    """Print a line for each version."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    with started(names, folder) as all_running:
        for running in all_running:
            measure(running, "warm")
        found: dict[str, list[Round]] = {name: [] for name in names}
        for turn in range(ROUNDS):
            for name, running in zip(names, all_running, strict=True):
                found[name].append(measure(running, f"turn{turn}"))
    sys.stdout.write("images/s   server ms   clients ms   of\n")
    for name, rounds in found.items():
        rate, server, clients = (statistics.median(column) for column in zip(*rounds, strict=True))
        sys.stdout.write(f"{rate:8.1f}   {server:9.2f}   {clients:10.2f}   {name}\n")


if __name__ == "__main__":
    main()
