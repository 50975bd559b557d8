"""Run wrk and read what it prints."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.files import ACCEPT

_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of wrk: requests and bytes a second, latencies in seconds."""

    requests: float
    bytes: float
    p50: float
    p99: float


def run(url: str, connections: int, seconds: float, headers: Sequence[str] = ()) -> Measured:
    """GET one URL over and over on so many kept-alive connections, with further `headers`.

    Raises BenchError for any answer outside 2xx, any socket error, and an output that says nothing.
    """
    threads = min(2, connections)
    command = [
        "wrk",
        f"-t{threads}",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "30s",
        "--latency",
        "-H",
        ACCEPT,
        *(part for header in headers for part in ("-H", header)),
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    return parse(done.stdout, url)


def parse(text: str, url: str) -> Measured:
    """Read wrk's report. Raises BenchError as `run` does."""
    for trouble in ("Non-2xx", "Socket errors"):
        if found := re.search(rf"{trouble}.*", text):
            raise BenchError(f"{url}: wrk says {found.group()}")
    requests = re.search(r"Requests/sec:\s+([\d.]+)", text)
    moved = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)([KMGT]?)B read", text)
    if requests is None or moved is None or int(moved.group(1)) == 0:
        raise BenchError(f"{url}: wrk measured nothing: {text[-300:]!r}")
    took = float(moved.group(2)) * _TIMES[moved.group(3)]
    size = float(moved.group(4)) * 1024 ** " KMGT".index(moved.group(5) or " ")
    return Measured(float(requests.group(1)), size / took, _latency(text, 50), _latency(text, 99))


def _latency(text: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)", text, re.MULTILINE)
    return float(found.group(1)) * _TIMES[found.group(2)] if found else float("nan")
