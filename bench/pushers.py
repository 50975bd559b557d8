"""Many clients that push images at once, each a process with one kept-alive connection."""

from __future__ import annotations

import multiprocessing
import random
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier

from bench.errors import BenchError
from bench.files import make_image
from bench.upload import push_image
from bench.wire import Address, Connection

_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What all clients together did: images, seconds from the first start to the last end, CPU seconds of theirs."""

    images: int
    seconds: float
    cpu: float


def push(at: Address, clients: int, seconds: float, label: str) -> Pushed:
    """Push new images from `clients` processes for some seconds, each into a repository of its own.

    Raises BenchError when any request of any client is not answered as docker would need it.
    """
    barrier = _FORK.Barrier(clients)
    pipes: list[Pipe] = []
    processes = []
    for number in range(clients):
        mine, theirs = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_client, args=(at, f"{label}-{number}", seconds, barrier, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(mine)
        processes.append(process)
    results = [_result(pipe) for pipe in pipes]
    for process in processes:
        process.join()
    return _together(results)


def _result(pipe: Pipe) -> tuple[int, float, float, float]:
    try:
        result = pipe.recv()
    except EOFError:
        raise BenchError("a pushing client died") from None
    if isinstance(result, str):
        raise BenchError(result)
    images, begin, end, cpu = result
    return int(images), float(begin), float(end), float(cpu)


def _together(results: list[tuple[int, float, float, float]]) -> Pushed:
    begin = min(result[1] for result in results)
    end = max(result[2] for result in results)
    return Pushed(sum(result[0] for result in results), end - begin, sum(result[3] for result in results))


def _client(at: Address, label: str, seconds: float, barrier: Barrier, pipe: Pipe) -> None:
    try:
        pipe.send(_push_until(at, label, seconds, barrier))
    except (BenchError, OSError, ValueError) as error:
        barrier.abort()
        pipe.send(f"push {label}: {error!r}")


def _push_until(at: Address, label: str, seconds: float, barrier: Barrier) -> tuple[int, float, float, float]:
    connection = Connection(at)
    source = random.Random(f"{label}-{time.time_ns()}")
    barrier.wait(30)
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    images = 0
    while time.perf_counter() - begin < seconds:
        push_image(connection, f"bench/{label}", f"v{images}", make_image(source))
        images += 1
    end = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_SELF)
    connection.close()
    return images, begin, end, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
