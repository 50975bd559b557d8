"""ADR 0006: what it costs to count and to log one request.

python bench/adr/counting.py           prints microseconds a request: prometheus_client in its multiprocess mode,
                                       our accumulators, and a line of the access log in each form
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TIMES = 50_000


def measure(name: str, work: Callable[[], object]) -> None:
    """Print the time of one call."""
    for _ in range(1000):
        work()
    begun = time.perf_counter()
    for _ in range(TIMES):
        work()
    print(f"{(time.perf_counter() - begun) / TIMES * 1e6:6.2f} us  {name}")


def of_the_library() -> Callable[[], None]:
    """One request in prometheus_client: a counter, two byte counters and a histogram, by labels as usual."""
    from prometheus_client import Counter, Histogram  # noqa: PLC0415 - reads the environment when it is imported

    requests = Counter("requests", "x", ["route", "method", "status"])
    received, sent = Counter("received", "x", ["route", "method"]), Counter("sent", "x", ["route", "method"])
    seconds = Histogram("seconds", "x", ["route", "method"])

    def count() -> None:
        requests.labels("blob", "GET", "200").inc()
        received.labels("blob", "GET").inc(0)
        sent.labels("blob", "GET").inc(1000)
        seconds.labels("blob", "GET").observe(0.001)

    return count


def main(folder: Path) -> None:
    """Measure all."""
    (folder / "theirs").mkdir()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "theirs")
    measure("counted by prometheus_client, multiprocess mode", of_the_library())
    from moorage.core.clock import SystemClock  # noqa: PLC0415 - prometheus_client is imported on the way
    from moorage.telemetry import logs  # noqa: PLC0415 - the same
    from moorage.telemetry.access import AccessLog  # noqa: PLC0415 - the same
    from moorage.telemetry.metrics import Metrics  # noqa: PLC0415 - the same
    from moorage.telemetry.settings import LogSettings  # noqa: PLC0415 - the same

    metrics = Metrics(folder / "ours")
    measure("counted by moorage.telemetry.metrics", lambda: metrics.observe_request("blob", "GET", 200, 0.001, 0, 1000))
    with (folder / "access.log").open("wb", buffering=0) as file:
        for formatter in ("text", "json"):
            log = AccessLog(LogSettings(formatter=formatter), file.write, SystemClock())
            line = (
                "GET",
                "/v2/a/b/blobs/sha256:" + "0" * 64,
                b"",
                200,
                1000,
                0.001,
                "10.0.0.1",
                "",
                "docker/28",
                "0" * 24,
            )
            measure(f"access log, {formatter}", lambda log=log, line=line: log.record(*line, "HTTP/1.1"))  # type: ignore[misc]
    with (folder / "log").open("w") as stream:
        logs.configure(LogSettings(), stream)
        members = {"method": "GET", "path": "/v2/a/b/blobs/x", "status": 200, "sent": 1000, "seconds": 0.001}
        measure("the same in structlog, with five members", lambda: logs.logger("x").info("done", **members))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
