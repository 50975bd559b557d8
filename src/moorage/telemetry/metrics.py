"""Counters and durations: cheap to count, and correct over all worker processes when read.

Counting touches nothing but lists of this process. Once a second (`flush`) the totals go into files of
prometheus_client's multiprocess mode, and a scrape merges the files of all workers. Two things differ from
how that library is usually set up:

- Its metric objects pick their storage from PROMETHEUS_MULTIPROC_DIR when the module is first imported, one
  directory a process for ever. Here its file and merge classes are used directly, with the directory as an
  argument.
- Its files are sparse. Where the disk is full, touching a new page of a mapped sparse file ends the process
  by SIGBUS. So space is reserved by writing before it is mapped; where that fails, counting goes on in
  memory and tries again later.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from moorage import __version__
from moorage.telemetry.logs import logger
from moorage.telemetry.metrics_directory import memory_folder, prepare_directory
from moorage.telemetry.metrics_files import (
    ValueFile,
    counter_key,
    gauge_key,
    histogram_keys,
    mark_dead,
    worker_pids,
)

__all__ = [
    "CONTENT_TYPE",
    "GAUGES",
    "PART_BOUNDS",
    "REQUEST_BOUNDS",
    "Metrics",
    "mark_dead",
    "prepare_directory",
]

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Seconds. From a manifest out of the cache to a layer of many gigabytes.
REQUEST_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0, 300.0,
)  # fmt: skip
PART_BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)

GAUGES = {"uploads_open": "Upload sessions that are open, over all instances."}

# Labels come from fixed sets; the bound holds should a caller be mistaken. What is over it is counted as
# "other".
_MOST_SERIES = 500
_OTHER = "other"
# Of a gauge the value that was set last counts, among the processes that live.
_GAUGE = "gauge_livemostrecent"
_KINDS = ("counter", "histogram", _GAUGE)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_RETRY_LOG = 300.0  # seconds between two complaints about the directory

_log = logger(__name__)

# A cell is the running totals of one set of labels. Histograms: [sum, received, sent, bucket, bucket, ...].
_Cell = list[float]
_BUCKETS = 3


class _Slot:
    """One number of a cell, and where it is published."""

    __slots__ = ("base", "cell", "index", "key", "kind", "written")

    def __init__(self, kind: str, key: str, cell: _Cell, index: int) -> None:
        self.kind, self.key, self.cell, self.index = kind, key, cell, index
        self.base = 0.0
        self.written = -1.0

    def begin(self, files: dict[str, ValueFile]) -> None:
        """An earlier process with our pid may have left a total, which a counter must not fall below."""
        self.base = files[self.kind].read(self.key)

    def publish(self, files: dict[str, ValueFile]) -> None:
        value = self.base + self.cell[self.index]
        if value != self.written:
            files[self.kind].write(self.key, value)
            self.written = value


class Metrics:
    """Everything that `/metrics` tells. Build one in each worker process, after the fork.

    The `observe_...` and `count_...` methods cost well under a microsecond, never fail and do no I/O. They
    may be called from several threads.

    Args:
        directory: shared by the workers of one run (`prepare_directory`); None for a process on its own.
        program_version: for `moorage_build_info`.
    """

    def __init__(self, directory: Path | None, program_version: str = __version__) -> None:
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="moorage-metrics-", dir=memory_folder()))
            weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self._directory = directory
        self._version = program_version
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], tuple[_Cell, _Cell]] = {}
        self._routes: dict[tuple[str, str], _Cell] = {}
        self._storage: dict[str, _Cell] = {}
        self._database: dict[str, _Cell] = {}
        self._events: dict[str, _Cell] = {}
        self._gauges: dict[str, tuple[float, float]] = {}
        self._published: list[_Slot] = []
        self._waiting: list[_Slot] = []
        self._files: dict[str, ValueFile] = {}
        self._complained = float("-inf")

    def observe_request(self, route: str, method: str, status: int, seconds: float, received: int, sent: int) -> None:
        """Count one finished request.

        Args:
            route: the name of the route, from a fixed set; never a path.
            method: of the request; an unknown one is counted as OTHER.
            status: of the answer.
            seconds: from the request's head to the answer's end.
            received: bytes of the request's body.
            sent: bytes of the answer's body.
        """
        pair = self._requests.get((route, method, status))
        if pair is None:
            pair = self._request_cells(route, method, status)
        pair[0][0] += 1
        cell = pair[1]
        cell[0] += seconds
        cell[1] += received
        cell[2] += sent
        cell[bisect_left(REQUEST_BOUNDS, seconds) + _BUCKETS] += 1

    def observe_storage(self, action: str, seconds: float) -> None:
        """Count one call of the blob storage; `action` is a method's name, such as `append`."""
        cell = self._storage.get(action)
        if cell is None:
            cell = self._part_cell(self._storage, _STORAGE, action)
        cell[0] += seconds
        cell[bisect_left(PART_BOUNDS, seconds) + _BUCKETS] += 1

    def observe_database(self, action: str, seconds: float, times: int = 1) -> None:
        """Count one transaction, or as many as this one stands for; `action` is `read`, `write` or `lookup`."""
        cell = self._database.get(action)
        if cell is None:
            cell = self._part_cell(self._database, _DATABASE, action)
        cell[0] += seconds * times
        cell[bisect_left(PART_BOUNDS, seconds) + _BUCKETS] += times

    def count_event(self, name: str, amount: float = 1) -> None:
        """Add to `moorage_events_total{event=name}`; names stand in the program, never in a request."""
        cell = self._events.get(name)
        if cell is None:
            cell = self._event_cell(name)
        cell[0] += amount

    def set_gauge(self, name: str, value: float) -> None:
        """Set a number that describes the whole installation; the worker that said it last is believed.

        Raises:
            ValueError: for a name that is not in GAUGES.
        """
        if name not in GAUGES:
            raise ValueError(f"no gauge is called {name!r}")
        self._gauges[name] = (float(value), time.time())

    def flush(self) -> None:
        """Publish this process's totals to its siblings, each second and at the end. Never raises OSError."""
        with self._lock:
            try:
                self._publish()
            except OSError as error:
                now = time.monotonic()
                if now - self._complained > _RETRY_LOG:
                    self._complained = now
                    _log.warning("metrics cannot be published; counting goes on", error=str(error))

    def render(self) -> bytes:
        """The numbers of all workers in Prometheus' text format (CONTENT_TYPE).

        Other workers' numbers are up to one flush old. It takes some milliseconds: call it in a thread.
        """
        self.flush()
        for pid in worker_pids(self._directory):
            if not _alive(pid):
                mark_dead(self._directory, pid)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Everything(self._directory, self._version))
        return generate_latest(registry)

    def _request_cells(self, route: str, method: str, status: int) -> tuple[_Cell, _Cell]:
        if method not in _METHODS:
            method = "OTHER"
        with self._lock:
            if len(self._requests) >= _MOST_SERIES and (route, method, status) not in self._requests:
                route, method, status = _OTHER, "OTHER", 0
            found = self._requests.get((route, method, status))
            if found is not None:
                return found
            cell = self._routes.get((route, method))
            if cell is None:
                cell = self._routes[route, method] = self._histogram(_REQUEST, ("route", "method"), (route, method))
                for index, (name, text) in enumerate((_RECEIVED, _SENT), start=1):
                    key = counter_key(name, text, {"route": route, "method": method})
                    self._waiting.append(_Slot("counter", key, cell, index))
            labels = {"route": route, "method": method, "status": str(status)}
            count = self._counter(_REQUESTS, labels)
            self._requests[route, method, status] = (count, cell)
            return count, cell

    def _part_cell(self, cells: dict[str, _Cell], metric: tuple[str, str, tuple[float, ...]], action: str) -> _Cell:
        with self._lock:
            if len(cells) >= _MOST_SERIES and action not in cells:
                action = _OTHER
            if action not in cells:
                cells[action] = self._histogram(metric, ("action",), (action,))
            return cells[action]

    def _event_cell(self, name: str) -> _Cell:
        with self._lock:
            if len(self._events) >= _MOST_SERIES and name not in self._events:
                name = _OTHER
            if name not in self._events:
                self._events[name] = self._counter(_EVENTS, {"event": name})
            return self._events[name]

    def _counter(self, metric: tuple[str, str], labels: dict[str, str]) -> _Cell:
        cell: _Cell = [0.0]
        self._waiting.append(_Slot("counter", counter_key(*metric, labels), cell, 0))
        return cell

    def _histogram(
        self, metric: tuple[str, str, tuple[float, ...]], names: tuple[str, ...], values: tuple[str, ...]
    ) -> _Cell:
        name, text, bounds = metric
        total, buckets = histogram_keys(name, text, dict(zip(names, values, strict=True)), bounds)
        cell: _Cell = [0.0] * (_BUCKETS + len(buckets))
        keys = [(total, 0), *((key, index) for index, key in enumerate(buckets, start=_BUCKETS))]
        self._waiting += [_Slot("histogram", key, cell, index) for key, index in keys]
        return cell

    def _publish(self) -> None:
        """All changed totals to the files. With the lock held."""
        self._open_files()
        for slot in self._published:
            slot.publish(self._files)
        while self._waiting:
            slot = self._waiting[0]
            slot.begin(self._files)
            slot.publish(self._files)
            self._published.append(self._waiting.pop(0))
        gauges = self._files[_GAUGE]
        for name, (value, at) in list(self._gauges.items()):
            gauges.write(gauge_key(f"moorage_{name}", GAUGES[name]), value, at)

    def _open_files(self) -> None:
        """Open the files, anew where the directory was swept away: then all totals are written again."""
        if self._files and all(file.path.exists() for file in self._files.values()):
            return
        for file in self._files.values():
            file.close()
        self._files = {}
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = {kind: ValueFile(self._directory, kind, os.getpid()) for kind in _KINDS}
        for slot in self._published:
            slot.written = -1.0


_REQUESTS = ("moorage_http_requests", "HTTP requests answered.")
_RECEIVED = ("moorage_http_received_bytes", "Bytes of request bodies.")
_SENT = ("moorage_http_sent_bytes", "Bytes of answer bodies.")
_EVENTS = ("moorage_events", "Things that happened.")
_REQUEST = ("moorage_http_request_seconds", "Duration of HTTP requests.", REQUEST_BOUNDS)
_STORAGE = ("moorage_storage_seconds", "Duration of calls of the blob storage.", PART_BOUNDS)
_DATABASE = ("moorage_database_seconds", "Duration of database transactions.", PART_BOUNDS)


class _Everything(Collector):
    """What one scrape sees: the files of all workers, the processes themselves, and the version."""

    def __init__(self, directory: Path, program_version: str) -> None:
        self._directory = directory
        self._version = program_version

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("moorage_build_info", "The program that runs.", labels=["version"])
        build.add_metric([self._version], 1.0)
        yield build
        if self._directory.is_dir():
            yield from _merged(self._directory)
        yield from _processes(worker_pids(self._directory))


def _merged(directory: Path) -> Iterable[Metric]:
    collector = MultiProcessCollector(None, path=str(directory))  # type: ignore[no-untyped-call]
    return cast("Iterable[Metric]", collector.collect())  # type: ignore[no-untyped-call]


def _processes(pids: Iterable[int]) -> Iterable[Metric]:
    """Prometheus' standard process metrics, of each worker with its pid; nothing where there is no /proc."""
    families: dict[str, Metric] = {}
    for pid in sorted(pids):
        for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                family.add_sample(sample.name, {"pid": str(pid)}, sample.value)
    return families.values()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
