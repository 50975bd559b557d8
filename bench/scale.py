"""How cost grows: tags in a repository, repositories in a registry, bytes in a blob.

The cost of a request is the least over several rounds: what else runs on the machine can only add to it.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import upload, wrk
from bench.errors import BenchError
from bench.files import ACCEPT, KB, MB, Blob, make_blob
from bench.filler import LINKED, Filler
from bench.programs import Program, Running
from bench.wire import Connection

TAG_COST_LIMIT = 1.5
_SLOW = 0.1
_REPOSITORY = "bench/scale"


@dataclass(frozen=True, slots=True)
class Plan:
    """How far each series goes, how long one point is measured, and how often."""

    tags: tuple[int, ...] = (100, 10_000, 100_000)
    repositories: tuple[int, ...] = (10, 1_000, 10_000)
    blobs: tuple[int, ...] = (KB, 10 * KB, 100 * KB, MB, 10 * MB, 100 * MB, 1 << 30)
    linked_tags: int = 10_000
    seconds: float = 2.0
    rounds: int = 5


FULL = Plan()
QUICK = Plan((100, 10_000), (10, 1_000), (KB, 100 * KB, 10 * MB, 100 * MB), seconds=1.0, rounds=3)


@dataclass(slots=True)
class Series:
    """One quantity over growing sizes, by program."""

    title: str
    unit: str
    values: dict[str, dict[str, float]] = field(default_factory=dict)

    def put(self, name: str, size: int, value: float) -> None:
        """Add one point."""
        self.values.setdefault(name, {})[str(size)] = value

    def growth(self, name: str) -> float | None:
        """The value at the largest size by the value at the smallest one."""
        found = self.values.get(name, {})
        ordered = [found[size] for size in sorted(found, key=int)]
        return ordered[-1] / ordered[0] if len(ordered) > 1 else None


def measure(programs: list[tuple[Program, str]], folder: Path, plan: Plan) -> dict[str, Any]:
    """Every series for every program that it is for. Raises BenchError for any wrong answer."""
    series = {
        "catalog": Series("repositories: one `_catalog?n=100`", "s"),
        "catalog_middle": Series("repositories: a page from the middle", "s"),
        "tags": Series("tags: one `tags/list?n=100`", "s"),
        "tags_middle": Series("tags: a page from the middle", "s"),
        "manifest": Series("tags: GET manifest by tag", "s"),
        "blobs": Series("bytes of a blob: GET, 4 connections (above 100 MB one)", "bytes/s"),
    }
    blobs = [make_blob(folder, size) for size in plan.blobs]
    for program, binary in programs:
        where = folder / f"scale-{program.name}"
        where.mkdir()
        running = Running(program, binary, where)
        try:
            running.wait_ready()
            _measure_one(running, series, blobs, plan)
        finally:
            running.stop()
    found = {key: {"title": s.title, "unit": s.unit, "values": s.values} for key, s in series.items()}
    return {"series": found, "checks": _checks(series)}


def _measure_one(running: Running, series: dict[str, Series], blobs: list[Blob], plan: Plan) -> None:
    for blob in blobs:
        series["blobs"].put(running.name, blob.size, _throughput(running, blob, plan))
    if running.name == "moorage" or running.name in LINKED:
        _repositories(running, series, plan)
        _tags(running, series, plan)
    print(f"scale: {running.name} done", flush=True)


def _throughput(running: Running, blob: Blob, plan: Plan) -> float:
    connection = Connection(running.at)
    upload.push_file(connection, _REPOSITORY, blob)
    path = f"/v2/{_REPOSITORY}/blobs/{blob.digest}"
    upload.check_blob(connection, path, blob.size, blob.digest)
    if blob.size <= 100 * MB:
        value = wrk.run(running.at.url(path), 4, plan.seconds).bytes
    else:
        buffer = bytearray(256 * 1024)
        value = blob.size / statistics.median(upload.drain(connection, path, blob.size, buffer) for _ in range(3))
    connection.close()
    return value


def _repositories(running: Running, series: dict[str, Series], plan: Plan) -> None:
    """Grow the registry step by step and ask for a page at each step."""
    filler, have = Filler(running), 0
    for size in plan.repositories:
        for number in range(have, size):
            filler.add_repository(_repository(number))
        have = size
        first, middle = "/v2/_catalog?n=100", f"/v2/_catalog?n=100&last={_repository(size // 2)}"
        _expect_names(running, first, "repositories", min(100, size))
        for key, path in (("catalog", first), ("catalog_middle", middle)):
            series[key].put(running.name, size, min(cost(running, path, plan.seconds) for _ in range(plan.rounds)))
    filler.close()


def _repository(number: int) -> str:
    return f"scale/r{number:06}"


def _tags(running: Running, series: dict[str, Series], plan: Plan) -> None:
    """Fill one repository for each size, then ask them in turn."""
    sizes = [size for size in plan.tags if size <= plan.linked_tags or running.name not in LINKED]
    filler = Filler(running)
    for size in sizes:
        filler.add_tags(f"scale/tags{size}", [f"v{number:06}" for number in range(size)])
        _expect_names(running, f"/v2/scale/tags{size}/tags/list?n=100", "tags", 100)
        _expect_names(running, f"/v2/scale/tags{size}/tags/list?n=100&last=v{size - 2:06}", "tags", 1)
    filler.close()
    asked: dict[str, Callable[[int], str]] = {
        "tags": lambda size: f"/v2/scale/tags{size}/tags/list?n=100",
        "tags_middle": lambda size: f"/v2/scale/tags{size}/tags/list?n=100&last=v{size // 2:06}",
        "manifest": lambda size: f"/v2/scale/tags{size}/manifests/v{size // 2:06}",
    }
    for key, path in asked.items():
        costs: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(plan.rounds):
            for size in sizes:
                costs[size].append(cost(running, path(size), plan.seconds))
        for size in sizes:
            series[key].put(running.name, size, min(costs[size]))


def cost(running: Running, path: str, seconds: float) -> float:
    """Seconds that one request takes on one connection: by wrk, or where that is long by asking a few times."""
    begin = time.perf_counter()
    ask(running, path)
    took = time.perf_counter() - begin
    if took < _SLOW:
        return 1 / wrk.run(running.at.url(path), 1, seconds).requests
    times = [took]
    while sum(times) < seconds:
        begin = time.perf_counter()
        ask(running, path)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def ask(running: Running, path: str) -> bytes:
    """The body of a GET, whatever its framing. Raises BenchError for anything but 200."""
    connection = http.client.HTTPConnection(*running.at, timeout=120)
    connection.request("GET", path, headers={"Accept": ACCEPT.partition(": ")[2]})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise BenchError(f"{running.name}: GET {path}: {answer.status} {body[:300]!r}")
    return body


def _expect_names(running: Running, path: str, member: str, least: int) -> None:
    """A page must have so many names, 100 at most; docker-registry 2.8 knows no pages of tags and sends them all."""
    found = len(json.loads(ask(running, path)).get(member) or [])
    if found < least or (found > 100 and running.name not in LINKED):
        raise BenchError(f"{running.name}: GET {path}: {found} names")


def _checks(series: dict[str, Series]) -> list[dict[str, Any]]:
    """The growth of Moorage's costs; only tags have a limit, the others are held to the same."""
    lines = (
        ("tags", "`tags/list?n=100`, most tags against 100"),
        ("tags_middle", "the same, a page from the middle"),
        ("manifest", "GET manifest by tag, most tags against 100"),
        ("catalog", "`_catalog?n=100`, most repositories against the fewest"),
    )
    found = []
    for key, title in lines:
        growth = series[key].growth("moorage")
        if growth is not None:
            found.append({"title": title, "value": growth, "limit": TAG_COST_LIMIT, "unit": "ratio"})
    return found
