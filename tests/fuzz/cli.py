"""`scripts/fuzz.py`: random requests to a real server, none of which may end in a 5xx."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.fuzz.runner import Findings, load, prepare, replay, run, store
from tests.support.postgres import running_cluster
from tests.support.server import Server, serving

SHOWN = 400


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000, help="how many [default: 200000]")
    parser.add_argument("--seed", type=int, help="an earlier run's, for the same requests [default: a new one]")
    parser.add_argument("--threads", type=int, default=4, help="clients at the same time [default: 4]")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of the server [default: 2]")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="send what a failure was written to FILE with")
    parser.add_argument(
        "--output", type=Path, help="where a failure is written [default: moorage-fuzz-SEED.json in TMPDIR]"
    )
    return parser.parse_args(arguments)


@contextmanager
def prepared(wanted: argparse.Namespace) -> Iterator[Server]:
    """A server with something in it."""
    with tempfile.TemporaryDirectory(prefix="moorage-fuzz-") as folder:
        environment = {}
        with ExitStack() as stack:
            if wanted.database == "postgresql":
                cluster = stack.enter_context(running_cluster())
                environment["REGISTRY_DATABASE_URL"] = stack.enter_context(cluster.database())
            how = {"environment": environment, "workers_wanted": wanted.workers, "clean": False, "warm": False}
            server = stack.enter_context(serving(Path(folder), **how))
            prepare(server)
            yield server


def report(findings: Findings, seed: int, seconds: float) -> None:
    """Print what happened."""
    kinds: dict[str, Counter[int]] = {}
    for (kind, status), count in findings.statuses.items():
        kinds.setdefault(kind, Counter())[status] += count
    say(f"{'kind':10}{'requests':>9}  statuses (0: closed, or silence)")
    for kind, counts in sorted(kinds.items()):
        shown = "  ".join(f"{status}: {count}" for status, count in sorted(counts.items()))
        say(f"{kind:10}{counts.total():>9}  {shown}")
    rate = findings.sent / max(seconds, 0.001)
    say(f"{findings.sent} requests in {seconds:.0f} s ({rate:.0f}/s), seed {seed}")
    say(f"most memory of a worker: {findings.memory >> 20} MiB")
    for took, case in findings.slow:
        say(f"slow again and again ({took:.2f} s): {case.kind} {case.data[:SHOWN]!r}")


def main(arguments: list[str] | None = None) -> int:
    """Run, and return the exit status: 0 where nothing was found."""
    wanted = options(arguments)
    seed = wanted.seed if wanted.seed is not None else int.from_bytes(os.urandom(4), "big")
    say(f"seed {seed}")
    began = time.monotonic()
    with prepared(wanted) as server:
        findings = (
            replay(server, load(wanted.replay)) if wanted.replay else run(server, seed, wanted.requests, wanted.threads)
        )
    report(findings, seed, time.monotonic() - began)
    if findings.failures:
        what, led_to_it = findings.failures[0]
        path = wanted.replay or wanted.output or Path(tempfile.gettempdir()) / f"moorage-fuzz-{seed}.json"
        if not wanted.replay:
            store(path, seed, what, led_to_it)
        say(f"FAILED: {what}")
        if led_to_it:
            say(f"after: {led_to_it[-1].data[:SHOWN]!r}")
        say(f"again: scripts/fuzz.py --replay {path}")
        return 1
    if findings.slow or (not wanted.replay and findings.sent != wanted.requests):
        return 1
    say("nothing found")
    return 0
