"""Memory of the workers, idle and with hundreds of slow requests in flight; latency meanwhile; time to ready."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from bench import upload
from bench.errors import BenchError
from bench.files import MB, OCI_CONFIG, Blob, descriptor, make_blob
from bench.machine import Meter
from bench.programs import Program, Running
from bench.slow import Crowd, Done, Load, Target, large_manifest
from bench.wire import Address, Connection, build

_FORK = multiprocessing.get_context("fork")
_REPOSITORY = "bench/memory"
_SAMPLE_EVERY = 0.02
LIMITS = {"idle": 90.0, "loaded": 150.0, "p99": 0.2, "ready": 1.5}


def measure(program: Program, binary: str, folder: Path, seconds: float) -> dict[str, Any]:
    """Start the program and measure it; `seconds` is how long the load stays complete.

    Raises BenchError when any request goes wrong. Values beyond a limit are only reported.
    """
    ready = time_to_ready(program, binary, folder)
    where = folder / "memory"
    where.mkdir()
    running = Running(program, binary, where)
    try:
        running.wait_ready()
        found = _measure(running, make_blob(folder, 100 * MB), seconds)
    finally:
        running.stop()
    found["ready"] = ready
    found["checks"] = checks(found)
    return found


def time_to_ready(program: Program, binary: str, folder: Path, times: int = 5) -> dict[str, Any]:
    """Seconds from the start of the process to its first 200: on an empty folder, and on the folder it left."""
    found = []
    where = folder / "ready"
    where.mkdir()
    for _ in range(times):
        running = Running(program, binary, where)
        try:
            found.append(running.wait_ready())
        finally:
            running.stop()
    return {"first": found[0], "again": statistics.median(found[1:]), "all": found}


def _measure(running: Running, blob: Blob, seconds: float) -> dict[str, Any]:
    latencies(running.at, 2.0)
    fresh = memory_of(running)
    target = _stock(running, blob)
    time.sleep(2)
    idle = memory_of(running)
    quiet = latencies(running.at, 3.0)
    meter, before, begin = Meter(), running.cpu(), time.perf_counter()
    crowd = Crowd(target, Load(), seconds)
    peak, times, done = _watch(running, crowd, seconds)
    server = (running.cpu() - before) / (time.perf_counter() - begin)
    cores = {"server": server, "all": meter.cores()}
    time.sleep(3)
    return {
        "fresh": fresh,
        "idle": idle,
        "loaded": peak,
        "after": memory_of(running),
        "latency_idle": spread(quiet),
        "latency_loaded": spread(times),
        "cores": cores,
        "moved": {"bytes": done.bytes, "finished": done.finished},
    }


def _stock(running: Running, blob: Blob) -> Target:
    """The blob, and a manifest of 4 MiB, so that there is something to pull. One pull of each warms the workers up."""
    connection = Connection(running.at)
    upload.push_file(connection, _REPOSITORY, blob)
    config = b"{}"
    described = descriptor(OCI_CONFIG, config)
    upload.push_blob(connection, _REPOSITORY, str(described["digest"]), config)
    body = large_manifest(described, 0)
    upload.put_manifest(connection, _REPOSITORY, "large", body)
    upload.check_manifest(connection, _REPOSITORY, "large", body)
    upload.check_blob(connection, f"/v2/{_REPOSITORY}/blobs/{blob.digest}", blob.size, blob.digest)
    connection.close()
    return Target(running.at, _REPOSITORY, blob.digest, blob.path.read_bytes(), "large", described)


def _watch(running: Running, crowd: Crowd, seconds: float) -> tuple[list[dict[str, Any]], list[float], Done]:
    """Sample memory and latency until the crowd ends; the largest memory that each process had."""
    mine, theirs = _FORK.Pipe(duplex=False)
    sampler = _FORK.Process(target=_latency_process, args=(running.at, seconds, theirs), daemon=True)
    time.sleep(2)
    sampler.start()
    theirs.close()
    peak: dict[int, dict[str, Any]] = {}
    while crowd.alive():
        for one in memory_of(running):
            if one["rss"] >= peak.get(one["pid"], one)["rss"]:
                peak[one["pid"]] = one
        time.sleep(0.2)
    done = crowd.result()
    try:
        times = mine.recv()
    except EOFError:
        raise BenchError("the latency sampler died: /v2/ did not answer under load") from None
    sampler.join()
    return list(peak.values()), times, done


def _latency_process(at: Address, seconds: float, pipe: Pipe) -> None:
    pipe.send(latencies(at, seconds))


def latencies(at: Address, seconds: float) -> list[float]:
    """Seconds that GET /v2/ took, asked every 20 ms on a new connection (so that every worker is met).

    Counted from when the request was due, so that one long wait is not counted once for many.
    """
    request = build("GET", "/v2/", at, "Connection: close\r\n")
    begin = time.perf_counter()
    found = []
    for number in range(int(seconds / _SAMPLE_EVERY)):
        due = begin + number * _SAMPLE_EVERY
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        connection = Connection(at)
        status = connection.ask(request).status
        connection.close()
        if status != 200:
            raise BenchError(f"GET /v2/: {status}")
        found.append(time.perf_counter() - due)
    return found


def spread(times: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    ordered = sorted(times)
    return {"p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}


def memory_of(running: Running) -> list[dict[str, Any]]:
    """Resident and proportional memory (MiB) of the started process and all of its children, and what they are."""
    found = []
    for pid in running.pids():
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            name = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        role = "supervisor" if pid == running.process.pid else "worker" if _listens(pid) else "helper"
        found.append({"pid": pid, "role": role, "rss": _mib(text, "Rss"), "pss": _mib(text, "Pss"), "name": name[:120]})
    return found


def _listens(pid: int) -> bool:
    """Whether a process holds a TCP socket in LISTEN state (`0A` in /proc/<pid>/net/tcp, matched by inode)."""
    listening = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            listening.add(f"socket:[{fields[9]}]")
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except OSError:
            continue
    return bool(listening.intersection(links))


def _mib(text: str, name: str) -> float:
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def largest(processes: list[dict[str, Any]]) -> float:
    """The resident memory of the largest worker."""
    return max((one["rss"] for one in processes if one["role"] == "worker"), default=0.0)


def checks(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The values that have a limit."""
    lines = (
        ("resident memory of the largest worker, fresh", largest(found["fresh"]), LIMITS["idle"], "MiB"),
        ("idle after 100 MB and a manifest of 4 MiB", largest(found["idle"]), LIMITS["idle"], "MiB"),
        (
            "with 200 pulls, 50 uploads, 50 manifests in flight",
            largest(found["loaded"]),
            LIMITS["loaded"],
            "MiB",
        ),
        ("/v2/ meanwhile, 99th percentile", found["latency_loaded"]["p99"], LIMITS["p99"], "s"),
        ("start to ready, empty folder", found["ready"]["first"], LIMITS["ready"], "s"),
        ("start to ready, existing folder", found["ready"]["again"], LIMITS["ready"], "s"),
    )
    return [{"title": title, "value": value, "limit": limit, "unit": unit} for title, value, limit, unit in lines]
