"""A look at the storage: not more often than asked for, and never one that waits for another one that hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from moorage.blobs import watch
from moorage.blobs.settings import WatchSettings
from moorage.blobs.watch import StorageWatch


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as made:
        yield made


class Clock:
    """Stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_what_was_seen_counts_for_the_interval(tmp_path: Path, executor: Executor) -> None:
    folder, clock = tmp_path / "uploads", Clock()
    folder.mkdir()
    storage = StorageWatch(folder, WatchSettings(interval_seconds=10), executor, clock)
    assert await storage.is_there()
    folder.rmdir()
    clock.now += 9
    assert await storage.is_there()
    clock.now += 1
    assert not await storage.is_there()
    folder.mkdir()
    clock.now += 9
    assert not await storage.is_there()
    clock.now += 1
    assert await storage.is_there()


async def test_it_must_be_missing_several_times_in_a_row(tmp_path: Path, executor: Executor) -> None:
    folder, clock = tmp_path / "uploads", Clock()
    storage = StorageWatch(folder, WatchSettings(interval_seconds=1, threshold=3), executor, clock)
    seen = []
    for there in (False, False, True, False, False, False, True):
        clock.now += 1
        if there:
            folder.mkdir()
        seen.append(await storage.is_there())
        if there:
            folder.rmdir()
    assert seen == [True, True, True, True, True, False, True]


@pytest.mark.parametrize("threshold", [0, -1])
async def test_no_threshold_is_the_first_time(tmp_path: Path, executor: Executor, threshold: int) -> None:
    assert not await StorageWatch(tmp_path / "x", WatchSettings(threshold=threshold), executor, Clock()).is_there()


async def test_a_file_in_its_place_is_no_storage(tmp_path: Path, executor: Executor) -> None:
    (tmp_path / "uploads").write_text("")
    assert not await StorageWatch(tmp_path / "uploads", WatchSettings(), executor, Clock()).is_there()


async def test_a_look_that_hangs_takes_one_thread(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, looks = threading.Event(), []

    def hang(folder: Path) -> bool:
        looks.append(folder)
        return answered.wait(10)

    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr("os.path.isdir", hang)
    clock = Clock()
    storage = StorageWatch(tmp_path, WatchSettings(), executor, clock)
    for _ in range(3):
        clock.now += 1
        assert not await storage.is_there()
    assert len(looks) == 1
    answered.set()
    monkeypatch.setattr(watch, "LOOK_SECONDS", 5.0)
    clock.now += 1
    assert await storage.is_there()
