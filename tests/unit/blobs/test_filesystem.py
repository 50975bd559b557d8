"""Blobs on disk: where they lie, what a failing disk leaves, and reads that never block the loop."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from moorage.blobs import filesystem
from moorage.blobs.checked import CheckedBlobs
from moorage.blobs.files import Files
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.hot import LARGEST
from moorage.blobs.ports import Chunks, Inline
from moorage.core.digest import digest_of
from moorage.core.errors import StorageFull, Unavailable
from moorage.testing.blob_store import open_descriptors
from moorage.testing.streams import content, read_all
from tests.support.failing import Failing

LARGE = content(LARGEST + 100_000)


@pytest.fixture
def blobs(tmp_path: Path, executor: ThreadPoolExecutor) -> FilesystemBlobs:
    return FilesystemBlobs(tmp_path, executor)


def files_below(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_the_layout_is_distributions(blobs: FilesystemBlobs, tmp_path: Path, algorithm: str) -> None:
    digest = digest_of(b"layer", algorithm)
    sealed = await blobs.put(digest, b"layer")
    expected = f"docker/registry/v2/blobs/{algorithm}/{digest.hex[:2]}/{digest.hex}/data"
    assert sealed.location == expected
    assert files_below(tmp_path) == {Path(expected)}


async def test_a_blob_that_distribution_put_there_is_served(blobs: FilesystemBlobs, tmp_path: Path) -> None:
    digest = digest_of(b"old")
    location = f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data"
    (tmp_path / location).parent.mkdir(parents=True)
    (tmp_path / location).write_bytes(b"old")
    assert await blobs.stat(digest) == 3
    assert [found async for found in blobs.scan()] == [digest]
    assert await read_all(await blobs.source(location, 3, 0, 3)) == b"old"


async def test_others_may_not_read_it(blobs: FilesystemBlobs, tmp_path: Path) -> None:
    sealed = await blobs.put(digest_of(b"layer"), b"layer")
    path = tmp_path / sealed.location
    assert path.stat().st_mode & 0o007 == 0
    assert path.parent.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("data", [b"small", LARGE])
async def test_a_file_that_was_cut_or_grew_is_damage(tmp_path: Path, executor: ThreadPoolExecutor, data: bytes) -> None:
    """Zero bytes after a loss of power, half a copy: never 200 with other bytes; the operator's log says which."""
    sealed = await FilesystemBlobs(tmp_path, executor).put(digest_of(data), data)
    for damaged in (b"", data[:-1], data + b"x"):
        (tmp_path / sealed.location).write_bytes(damaged)
        with pytest.raises(Unavailable) as refused:
            await FilesystemBlobs(tmp_path, executor).source(sealed.location, len(data), 0, len(data))
        assert sealed.location in refused.value.__notes__[0]
        assert sealed.location not in refused.value.message


async def test_a_file_that_is_cut_while_it_is_read_ends_the_answer(blobs: FilesystemBlobs, tmp_path: Path) -> None:
    sealed = await blobs.put(digest_of(LARGE), LARGE)
    source = await blobs.source(sealed.location, len(LARGE), 0, len(LARGE))
    os.truncate(tmp_path / sealed.location, 10)
    with pytest.raises(Unavailable):
        await read_all(source)


async def test_strays_among_the_blobs_are_passed_over(blobs: FilesystemBlobs, tmp_path: Path) -> None:
    digest = digest_of(b"layer")
    await blobs.put(digest, b"layer")
    top = tmp_path / "docker/registry/v2/blobs"
    for name in (
        "sha256/README",
        "sha256/zz/file",
        "sha256/ab/short/data",
        f"sha256/ab/{'x' * 64}/data",
        "md5/ab/x/data",
    ):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"stray")
    (top / f"sha256/{digest.hex[:2]}/{'0' * 64}").mkdir()
    assert [found async for found in CheckedBlobs(blobs).scan()] == [digest]


async def test_small_ones_are_read_once(blobs: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = await blobs.put(digest_of(b"hot"), b"hot")
    assert isinstance(await blobs.source(sealed.location, 3, 0, 3), Inline)
    monkeypatch.setattr(filesystem, "read_whole", None)
    assert await read_all(await blobs.source(sealed.location, 3, 1, 3)) == b"ot"


async def test_what_the_page_cache_has_costs_no_thread(blobs: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = await blobs.put(digest_of(LARGE), LARGE)
    monkeypatch.setattr(filesystem, "is_cached", lambda *_: True)
    source = await blobs.source(sealed.location, len(LARGE), 0, len(LARGE))
    monkeypatch.setattr(blobs._executor, "submit", None)
    assert await read_all(source) == LARGE


async def test_a_cold_read_is_not_done_in_the_loop(blobs: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = await blobs.put(digest_of(LARGE), LARGE)
    readers: set[int] = set()
    pread = os.pread

    def slow(descriptor: int, length: int, offset: int) -> bytes:
        readers.add(threading.get_ident())
        return pread(descriptor, length, offset)

    monkeypatch.setattr(filesystem, "is_cached", lambda *_: False)
    monkeypatch.setattr(os, "pread", slow)
    assert await read_all(await blobs.source(sealed.location, len(LARGE), 0, len(LARGE))) == LARGE
    assert readers
    assert threading.get_ident() not in readers


async def test_a_cold_read_that_is_cancelled(blobs: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread reads on for a moment: its file is closed after it, and no piece of the share stays taken."""
    sealed = await blobs.put(digest_of(LARGE), LARGE)
    before, size = open_descriptors(), blobs._share.size
    reading, go_on = threading.Event(), threading.Event()
    pread = os.pread
    outcome: list[bytes | OSError] = []

    def slow(descriptor: int, length: int, offset: int) -> bytes:
        reading.set()
        go_on.wait(10)
        try:
            outcome.append(pread(descriptor, length, offset))
        except OSError as error:
            outcome.append(error)
        return b"x"

    monkeypatch.setattr(filesystem, "is_cached", lambda *_: False)
    monkeypatch.setattr(os, "pread", slow)
    source = await blobs.source(sealed.location, len(LARGE), 0, len(LARGE))
    assert isinstance(source, Chunks)
    task = asyncio.ensure_future(anext(source.pieces))
    await asyncio.to_thread(reading.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await source.pieces.aclose()  # type: ignore[attr-defined]
    go_on.set()
    while not outcome or open_descriptors() > before:
        await asyncio.sleep(0.01)
    assert outcome == [LARGE[: len(outcome[0])]]  # type: ignore[arg-type]
    assert (blobs._share.size, blobs._share._streams) == (size, 0)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_a_put_that_fails_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, executor: ThreadPoolExecutor, error: int
) -> None:
    """At every call in turn: either not there, or whole."""
    digest = digest_of(b"layer")
    at = 0
    while True:
        at += 1
        root = tmp_path / str(at)
        root.mkdir()
        probe = Failing(at, error)
        blobs = CheckedBlobs(FilesystemBlobs(root, executor, Files(probe)))
        before = open_descriptors()
        with suppress(StorageFull if error == errno.ENOSPC else Unavailable):
            await blobs.put(digest, b"layer")
        if not probe.failed:
            break
        assert open_descriptors() == before
        left = files_below(root)
        assert left in (set(), {Path(f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data")})
        assert await blobs.stat(digest) == (5 if left else None)
        sealed = await blobs.put(digest, b"layer")
        assert await read_all(await blobs.source(sealed.location, 5, 0, 5)) == b"layer"
    assert at > 10


async def test_the_order_that_makes_it_durable(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """Bytes, then their name, then the directories that hold it."""
    probe = Failing()
    await FilesystemBlobs(tmp_path, executor, Files(probe)).put(digest_of(b"layer"), b"layer")
    order = [point for point in probe.points if point in ("write-done", "fsync-done", "rename", "rename-done")]
    assert order == ["write-done", "fsync-done", "rename", "rename-done"]
    assert probe.points[-1] == "fsync-directory-done"
    assert "fsync-directory" in probe.points[probe.points.index("rename-done") :]
