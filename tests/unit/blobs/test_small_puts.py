"""Small blobs that come at once: stored together, failing alone, and nothing is left of one that failed."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moorage.blobs.files import Files
from moorage.blobs.layout import blob_location
from moorage.blobs.small_puts import MOST, THREADS, SmallPuts
from moorage.core.digest import Digest, digest_of


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def blobs(count: int) -> dict[Digest, bytes]:
    return {digest_of(data): data for data in (b"blob %d" % number for number in range(count))}


def files_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


async def test_many_at_once(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """More than a batch has; each is where it belongs, and no other file is left."""
    wanted = blobs(5 * MOST)
    puts = SmallPuts(tmp_path, executor, Files())
    await asyncio.gather(*(puts.put(digest, data) for digest, data in wanted.items()))
    assert files_below(tmp_path) == {blob_location(digest) for digest in wanted}
    for digest, data in wanted.items():
        assert (tmp_path / blob_location(digest)).read_bytes() == data


async def test_each_is_synced_and_named_before_its_answer(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    calls: Counter[str] = Counter()
    puts = SmallPuts(tmp_path, executor, Files(lambda point: calls.update([point])))
    await puts.put(digest_of(b"first"), b"first")
    calls.clear()
    wanted = blobs(MOST)
    await asyncio.gather(*(puts.put(digest, data) for digest, data in wanted.items()))
    assert calls["fsync-done"] == calls["rename-done"] == MOST
    assert calls["fsync-directory-done"] >= 2 * MOST


async def test_one_that_fails_fails_alone(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    wanted = blobs(MOST)
    unlucky = digest_of(b"blob 5")

    class Failing(Files):
        def rename(self, source: Path, target: Path) -> None:
            if unlucky.hex in str(target):
                raise OSError(5, "no")
            super().rename(source, target)

    puts = SmallPuts(tmp_path, executor, Failing())
    results = await asyncio.gather(*(puts.put(*each) for each in wanted.items()), return_exceptions=True)
    assert [isinstance(result, OSError) for result in results] == [digest == unlucky for digest in wanted]
    assert files_below(tmp_path) == {blob_location(digest) for digest in wanted if digest != unlucky}


async def test_a_folder_that_is_removed_meanwhile(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    puts = SmallPuts(tmp_path, executor, Files())
    digest = digest_of(b"data")
    await puts.put(digest, b"data")
    target = tmp_path / blob_location(digest)
    target.unlink()
    target.parent.rmdir()
    target.parent.parent.rmdir()
    (tmp_path / "uploads").rmdir()
    await puts.put(digest, b"data")
    assert target.read_bytes() == b"data"


async def test_a_client_that_leaves_disturbs_nobody(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    wanted = blobs(8)
    puts = SmallPuts(tmp_path, executor, Files())
    tasks = [asyncio.ensure_future(puts.put(*each)) for each in wanted.items()]
    await asyncio.sleep(0)
    tasks[3].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results].count(asyncio.CancelledError) == 1
    assert sum(result is None for result in results) == 7


async def test_no_more_threads_than_agreed(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    seen: set[int] = set()

    class Watched(Files):
        def open(self, path: Path, flags: int) -> int:
            seen.add(threading.get_ident())
            return super().open(path, flags)

    puts = SmallPuts(tmp_path, executor, Watched())
    await asyncio.gather(*(puts.put(*each) for each in blobs(10 * MOST).items()))
    assert 1 <= len(seen) <= THREADS
    assert list((tmp_path / "uploads").iterdir()) == []
