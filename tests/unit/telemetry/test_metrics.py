"""Metrics: right sums over workers, bounded labels, dead workers, full disks."""

from __future__ import annotations

import fcntl
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from moorage import __version__
from moorage.telemetry import metrics as metrics_module
from moorage.telemetry import metrics_files
from moorage.telemetry.metrics import REQUEST_BOUNDS, Metrics, mark_dead, prepare_directory
from moorage.telemetry.metrics_directory import memory_folder, remove_directory
from moorage.telemetry.metrics_files import ValueFile

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

WORKER = """
import sys
from pathlib import Path
from moorage.telemetry.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    metrics.observe_request("blob", "GET", 200, 0.002, 3, 5)
metrics.observe_storage("append", 0.5)
metrics.set_gauge("uploads_open", 7)
metrics.flush()
print("ready", flush=True)
sys.stdin.read()
"""


def read(text: bytes) -> Samples:
    samples: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, f"{key} twice"
            samples[key] = sample.value
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WORKER, str(tmp_path), "10"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_requests_are_counted_by_route_method_and_status(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for status in (200, 200, 404):
        metrics.observe_request("manifest", "GET", status, 0.003, 0, 100)
    metrics.observe_request("upload", "PATCH", 202, 20.0, 1 << 30, 0)
    samples = read(metrics.render())
    assert value(samples, "moorage_http_requests_total", route="manifest", method="GET", status="200") == 2
    assert value(samples, "moorage_http_requests_total", route="manifest", method="GET", status="404") == 1
    assert value(samples, "moorage_http_sent_bytes_total", route="manifest", method="GET") == 300
    assert value(samples, "moorage_http_received_bytes_total", route="upload", method="PATCH") == 1 << 30
    assert value(samples, "moorage_http_request_seconds_count", route="manifest", method="GET") == 3
    assert value(samples, "moorage_http_request_seconds_sum", route="manifest", method="GET") == pytest.approx(0.009)


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.00011, 0.05, 300.0, 301.0, 1e9])
def test_a_duration_is_in_every_bucket_that_holds_it(tmp_path: Path, seconds: float) -> None:
    metrics = Metrics(tmp_path)
    metrics.observe_request("blob", "GET", 200, seconds, 0, 0)
    samples = read(metrics.render())
    for bound in (*REQUEST_BOUNDS, math.inf):
        le = metrics_files.floatToGoString(bound)  # type: ignore[no-untyped-call,attr-defined]
        count = value(samples, "moorage_http_request_seconds_bucket", route="blob", method="GET", le=le)
        assert count == (1 if seconds <= bound else 0), bound


def test_storage_database_and_events(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.observe_storage("append", 0.25)
    metrics.observe_database("write", 0.125)
    metrics.observe_database("write", 0.125)
    metrics.count_event("login_failed")
    metrics.count_event("bytes_saved", 10)
    samples = read(metrics.render())
    assert value(samples, "moorage_storage_seconds_sum", action="append") == 0.25
    assert value(samples, "moorage_storage_seconds_count", action="append") == 1
    assert value(samples, "moorage_database_seconds_count", action="write") == 2
    assert value(samples, "moorage_database_seconds_sum", action="write") == 0.25
    assert value(samples, "moorage_events_total", event="login_failed") == 1
    assert value(samples, "moorage_events_total", event="bytes_saved") == 10


def test_the_version_and_this_process(tmp_path: Path) -> None:
    samples = read(Metrics(tmp_path).render())
    pid = str(os.getpid())
    assert value(samples, "moorage_build_info", version=__version__) == 1
    assert value(samples, "process_resident_memory_bytes", pid=pid) > 1 << 20
    assert value(samples, "process_cpu_seconds_total", pid=pid) > 0
    assert value(samples, "process_open_fds", pid=pid) > 2


def test_a_scrape_twice_says_the_same(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.observe_request("blob", "GET", 200, 1.0, 0, 1)
    metrics.render()
    metrics.flush()
    samples = read(metrics.render())
    assert value(samples, "moorage_http_requests_total", route="blob", method="GET", status="200") == 1


def test_workers_are_added_up(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    metrics = Metrics(tmp_path)
    metrics.observe_request("blob", "GET", 200, 0.002, 1, 1)
    samples = read(metrics.render())
    assert value(samples, "moorage_http_requests_total", route="blob", method="GET", status="200") == 11
    assert value(samples, "moorage_http_request_seconds_count", route="blob", method="GET") == 11
    assert value(samples, "moorage_http_received_bytes_total", route="blob", method="GET") == 31
    assert value(samples, "moorage_storage_seconds_count", action="append") == 1
    assert value(samples, "moorage_uploads_open") == 7
    for pid in (worker.pid, os.getpid()):
        assert value(samples, "process_resident_memory_bytes", pid=str(pid)) > 0


def test_what_a_dead_worker_counted_stays_and_what_it_was_goes(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    metrics = Metrics(tmp_path)
    worker.kill()
    worker.wait()
    samples = read(metrics.render())
    assert value(samples, "moorage_http_requests_total", route="blob", method="GET", status="200") == 10
    assert not any(name == "moorage_uploads_open" for name, _ in samples)
    assert not any(("pid", str(worker.pid)) in labels for _, labels in samples)


def test_mark_dead_forgets_gauges_only(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.set_gauge("uploads_open", 1)
    metrics.flush()
    mark_dead(tmp_path, os.getpid())
    assert not list(tmp_path.glob("gauge_*"))
    assert list(tmp_path.glob("counter_*"))


def test_the_latest_worker_is_believed_about_a_gauge(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    metrics = Metrics(tmp_path)
    metrics.set_gauge("uploads_open", 2)
    assert value(read(metrics.render()), "moorage_uploads_open") == 2
    metrics.set_gauge("uploads_open", 0)
    assert value(read(metrics.render()), "moorage_uploads_open") == 0


def test_an_unknown_gauge_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no gauge"):
        Metrics(tmp_path).set_gauge("uploads", 1)


def test_a_pid_that_comes_again_goes_on_counting(tmp_path: Path) -> None:
    for _ in range(3):
        metrics = Metrics(tmp_path)
        metrics.count_event("x")
        metrics.observe_storage("get", 0.5)
        metrics.flush()
    samples = read(metrics.render())
    assert value(samples, "moorage_events_total", event="x") == 3
    assert value(samples, "moorage_storage_seconds_count", action="get") == 3


def test_strange_methods_share_a_label(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for number in range(2000):
        metrics.observe_request("base", f"BREW{number}", 405, 0.1, 0, 0)
    samples = read(metrics.render())
    assert value(samples, "moorage_http_requests_total", route="base", method="OTHER", status="405") == 2000
    assert not any("BREW" in text for _, labels in samples for pair in labels for text in pair)
    assert len(metrics._requests) == 1


def test_a_caller_that_invents_labels_does_not_fill_the_memory(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for number in range(700):
        metrics.observe_request(f"/v2/{number}", "GET", 200, 0.1, 0, 0)
        metrics.count_event(f"event{number}")
        metrics.observe_storage(f"action{number}", 0.1)
        metrics.observe_database(f"action{number}", 0.1)
    samples = read(metrics.render())
    assert value(samples, "moorage_http_requests_total", route="other", method="OTHER", status="0") == 200
    assert value(samples, "moorage_events_total", event="other") == 200
    assert value(samples, "moorage_storage_seconds_count", action="other") == 200
    counts = [number for (name, _), number in samples.items() if name == "moorage_http_requests_total"]
    assert sum(counts) == 700
    assert max(len(metrics._requests), len(metrics._events), len(metrics._storage)) <= 501


def test_several_threads_lose_no_counts(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)

    def count() -> None:
        for number in range(20_000):
            metrics.observe_storage("get", 0.001)
            metrics.observe_request("blob", "GET", 200 + number % 50, 0.001, 1, 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.flush()
    samples = read(metrics.render())
    assert value(samples, "moorage_storage_seconds_count", action="get") == 80_000
    counts = [number for (name, _), number in samples.items() if name == "moorage_http_requests_total"]
    assert sum(counts) == 80_000


def test_a_directory_that_was_swept_away_is_made_again(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "run")
    metrics.count_event("x")
    metrics.set_gauge("uploads_open", 3)
    metrics.flush()
    remove_directory(tmp_path / "run")
    metrics.count_event("x")
    samples = read(metrics.render())
    assert value(samples, "moorage_events_total", event="x") == 2
    assert value(samples, "moorage_uploads_open") == 3


def test_without_space_counting_goes_on_and_is_published_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    metrics = Metrics(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(metrics_files, "_append_zeros", full)
        metrics.count_event("x")
        metrics.flush()
        assert b"moorage_build_info" in metrics.render()
    metrics.count_event("x")
    assert value(read(metrics.render()), "moorage_events_total", event="x") == 2


def test_space_that_ends_while_files_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(tmp_path)
    metrics.flush()
    real = metrics_files._append_zeros
    monkeypatch.setattr(metrics_files, "_append_zeros", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    for number in range(450):
        metrics.count_event(f"event{number}")
        metrics.observe_storage(f"action{number}", 0.1)
    metrics.flush()
    monkeypatch.setattr(metrics_files, "_append_zeros", real)
    samples = read(metrics.render())
    assert sum(number for (name, _), number in samples.items() if name == "moorage_events_total") == 450
    assert value(samples, "moorage_storage_seconds_count", action="action449") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_really_full_file_system_does_not_kill_the_process(tmp_path: Path) -> None:
    """Touching a hole of a mapped file there is SIGBUS."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount here")
    code = """
import sys
from pathlib import Path
from moorage.telemetry.metrics import Metrics
folder = Path(sys.argv[1])
metrics = Metrics(folder / "run")
metrics.flush()
for number in range(450):
    metrics.observe_storage(f"action{number}", 0.1)
    metrics.flush()
assert b"moorage_build_info" in metrics.render()
print("alive")
"""
    try:
        run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False, timeout=60)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith(b"alive\n")


def test_files_have_no_holes(tmp_path: Path) -> None:
    file = ValueFile(tmp_path, "histogram", 1)
    for number in range(5000):
        file.write(f"key {number} " + "x" * 100, 1.0)
    assert file.path.stat().st_blocks * 512 >= file.path.stat().st_size
    assert file.read("key 4999 " + "x" * 100) == 1.0
    file.close()
    assert ValueFile(tmp_path, "histogram", 1).read("key 17 " + "x" * 100) == 1.0


def test_no_reader_sees_a_file_without_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    real = metrics_files._append_zeros

    def watch(path: Path, size: int, flag: int) -> None:
        real(path, size, flag)
        seen.append([found.name for found in tmp_path.glob("*.db")])

    monkeypatch.setattr(metrics_files, "_append_zeros", watch)
    ValueFile(tmp_path, "counter", 1)
    assert seen == [[]]
    assert [path.name for path in tmp_path.iterdir()] == ["counter_1.db"]


def test_alone_it_uses_a_folder_of_its_own_and_removes_it() -> None:
    metrics = Metrics(None)
    metrics.count_event("x")
    other = Metrics(None)
    assert value(read(metrics.render()), "moorage_events_total", event="x") == 1
    assert not any(name == "moorage_events_total" for name, _ in read(other.render()))
    folder = metrics._directory
    assert folder.is_dir()
    del metrics
    assert not folder.exists()


def test_the_content_type_is_the_text_format() -> None:
    assert metrics_module.CONTENT_TYPE.startswith("text/plain; version=")


def test_every_run_gets_an_empty_directory(tmp_path: Path) -> None:
    first, second = prepare_directory(tmp_path), prepare_directory(tmp_path)
    assert first != second
    assert first.is_dir(), "the first run is alive: this process"
    assert first.stat().st_mode & 0o777 == 0o700
    assert Metrics(second).render()


def test_the_directory_of_a_dead_run_is_removed(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from moorage.telemetry.metrics_directory import prepare_directory\n"
    code += "print(prepare_directory(Path(sys.argv[1])))"
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, text=True)
    dead = Path(run.stdout.strip())
    assert dead.is_dir()
    stranger = tmp_path / "keep"
    stranger.mkdir()
    prepare_directory(tmp_path)
    assert not dead.exists()
    assert stranger.exists()


def test_a_run_that_is_alive_is_told_by_its_lock(tmp_path: Path) -> None:
    run = tmp_path / "run-other"
    run.mkdir()
    with (run / "alive").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        prepare_directory(tmp_path)
        assert run.exists()
    prepare_directory(tmp_path)
    assert not run.exists()


def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = memory_folder()
    assert folder.stat().st_uid == os.geteuid()
    assert folder.stat().st_mode & 0o077 == 0
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("moorage.telemetry.metrics_directory._BASES", (str(tmp_path),))
    (tmp_path / f"moorage-{os.geteuid()}").mkdir(mode=0o777)
    (tmp_path / f"moorage-{os.geteuid()}").chmod(0o777)
    assert memory_folder() != tmp_path / f"moorage-{os.geteuid()}"
