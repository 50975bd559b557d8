"""Uploads on disk: nothing is hashed twice, a failing disk loses nothing that was counted, and threads do not meet."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from moorage.blobs import filesystem_uploads
from moorage.blobs import writing as writing_module
from moorage.blobs.checked import CheckedUploads
from moorage.blobs.files import Files
from moorage.blobs.filesystem_uploads import BATCH, FilesystemUploads
from moorage.blobs.ports import Progress
from moorage.blobs.running import RunningHashes
from moorage.blobs.writing import Writing, hash_file
from moorage.core.digest import digest_of
from moorage.core.errors import StorageFull, Unavailable
from moorage.testing.blob_store import open_descriptors
from moorage.testing.fakes import upload_key
from moorage.testing.streams import content, pieces
from tests.support.failing import Failing
from tests.support.wire import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = upload_key(1)


@pytest.fixture
def uploads(tmp_path: Path, executor: ThreadPoolExecutor) -> FilesystemUploads:
    return FilesystemUploads(tmp_path, executor)


@pytest.fixture
def no_second_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the bytes were read again")

    for module in (filesystem_uploads, writing_module):
        monkeypatch.setattr(module, "hash_file", refuse)


@pytest.mark.usefixtures("no_second_reading")
async def test_the_end_of_an_upload_does_not_read_it_again(uploads: FilesystemUploads) -> None:
    data = content(2 * BATCH + 5)
    for start in range(0, len(data), 300_000):
        known = await uploads.append(KEY, start, pieces(data[start : start + 300_000]), "sha256")
    await uploads.seal(KEY, digest_of(data), Progress(known.size, None))


@pytest.mark.usefixtures("no_second_reading")
async def test_nor_in_another_process_that_the_facts_tell_the_digest(
    uploads: FilesystemUploads, tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    known = await uploads.append(KEY, 0, pieces(b"12345"), "sha256")
    assert known == Progress(5, digest_of(b"12345"))
    await FilesystemUploads(tmp_path, executor).seal(KEY, digest_of(b"12345"), known)


async def test_in_another_process_the_bytes_are_hashed_once_at_the_end(
    uploads: FilesystemUploads, tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = FilesystemUploads(tmp_path, executor)
    await uploads.append(KEY, 0, pieces(b"12345"), "sha256")
    known = await elsewhere.append(KEY, 5, pieces(b"678"), "sha256")
    assert known == Progress(8, None)
    reading = Mock(wraps=hash_file)
    for module in (filesystem_uploads, writing_module):
        monkeypatch.setattr(module, "hash_file", reading)
    await elsewhere.seal(KEY, digest_of(b"12345678"), known)
    assert reading.call_count == 1


async def test_a_hash_of_before_is_not_believed(
    uploads: FilesystemUploads, tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    """This process knows the hash of 5 bytes, another one appended 3: their number tells."""
    await uploads.append(KEY, 0, pieces(b"12345"), "sha256")
    await FilesystemUploads(tmp_path, executor).append(KEY, 5, pieces(b"678"), "sha256")
    assert (await uploads.append(KEY, 8, pieces(b"9"), "sha256")).digest is None
    await uploads.seal(KEY, digest_of(b"123456789"), Progress(9, None))


async def test_a_full_disk_keeps_what_fitted(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """507, the session goes on where it stood, and works as soon as there is room."""
    probe = Failing()
    uploads = CheckedUploads(FilesystemUploads(tmp_path, executor, Files(probe)))
    await uploads.append(KEY, 0, pieces(b"12345"), "sha256")
    probe.points.clear()
    probe.at, probe.error = 2, errno.ENOSPC  # open, write
    with pytest.raises(StorageFull):
        await uploads.append(KEY, 5, pieces(b"678"), "sha256", 5)
    assert await uploads.size(KEY) == 5
    probe.at = 0
    await uploads.append(KEY, 5, pieces(b"678"), "sha256", 5)
    await uploads.seal(KEY, digest_of(b"12345678"))


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_at_every_call_that_fails_nothing_counted_is_lost(
    tmp_path: Path, executor: ThreadPoolExecutor, error: int
) -> None:
    """Two chunks and the end. Afterwards the upload holds at least what was acknowledged, or is known to be gone; a
    client that asks for the status and goes on succeeds."""
    first, second = content(BATCH + 1000, 1), content(BATCH + 500, 2)
    whole = digest_of(first + second)
    at = 0
    while True:
        at += 1
        root = tmp_path / str(at)
        root.mkdir()
        probe = Failing(at, error)
        uploads = CheckedUploads(FilesystemUploads(root, executor, Files(probe)))
        before = open_descriptors()
        acknowledged = 0
        with suppress(Unavailable, StorageFull):
            acknowledged = (await uploads.append(KEY, 0, pieces(first), "sha256", 0)).size
            known = await uploads.append(KEY, acknowledged, pieces(second), "sha256", acknowledged)
            acknowledged = known.size
            await uploads.seal(KEY, whole, known)
        if not probe.failed:
            break
        assert open_descriptors() == before, at
        probe.at = 0
        await resume(uploads, root, first + second, acknowledged)
    assert at > 20


async def resume(uploads: CheckedUploads, root: Path, data: bytes, acknowledged: int) -> None:
    """Go on as a client does that was answered with an error."""
    digest = digest_of(data)
    sealed = root / f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data"
    size = await uploads.size(KEY)
    if size < acknowledged:  # gone, sealed or not: it begins anew
        assert size == 0
        assert not sealed.exists() or sealed.read_bytes() == data
        await uploads.drop(KEY)
    assert data.startswith((root / "uploads" / KEY).read_bytes() if size else b"")
    known = await uploads.append(KEY, size, pieces(data[size:]), "sha256", size)
    await uploads.seal(KEY, digest, known)
    assert sealed.read_bytes() == data


class Watched(Files):
    """Writes slowly, and says whether its file was still its own at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.disturbed = 0

    def write(self, descriptor: int, data: bytes) -> None:
        before = os.fstat(descriptor).st_ino
        self.writing.set()
        time.sleep(0.05)
        try:
            if os.fstat(descriptor).st_ino != before:
                self.disturbed += 1
        except OSError:
            self.disturbed += 1
        super().write(descriptor, data)


async def test_a_request_that_is_cancelled_while_a_thread_writes(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """The file is closed after the write, not under it: its number may be another file's by then."""
    files = Watched()
    uploads = FilesystemUploads(tmp_path, executor, files)
    for number in range(5):
        key = upload_key(number)
        files.writing.clear()
        task = asyncio.create_task(uploads.append(key, 0, pieces(content(4 * BATCH)), "sha256"))
        await asyncio.to_thread(files.writing.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        size = await uploads.size(key)
        await uploads.append(key, size, pieces(content(4 * BATCH)[size:]), "sha256")
        await uploads.seal(key, digest_of(content(4 * BATCH)))
    assert files.disturbed == 0


async def test_a_request_that_is_cancelled_twice_lets_go_of_its_file(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    """The second time while it waits for the thread: by its deadline, and then by the end of the worker."""
    before = open_descriptors()
    files = _FullFor(2)
    uploads = FilesystemUploads(tmp_path, executor, files)
    handed_over = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield content(BATCH)
        handed_over.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(uploads.append(KEY, 0, body(), "sha256"))
    await handed_over.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    files.waits.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_until, lambda: open_descriptors() == before, every=0.005)
    await uploads.append(KEY, BATCH, pieces(content(BATCH)), "sha256")


def test_what_comes_after_its_request_was_given_up_does_nothing(tmp_path: Path) -> None:
    """The thread came to it too late: no file is opened that nobody would close, nothing is written."""
    before = open_descriptors()
    writing = Writing(Files(), tmp_path / KEY, 0, RunningHashes(), "sha256", 0)
    writing.close()
    writing.begin()
    writing.write(b"late")
    assert writing.finish(b"later", None, None).size == 0
    writing.close()
    assert not (tmp_path / KEY).exists()
    assert open_descriptors() == before


class _FullFor(Files):
    """The disk has no room for one write, while the next one waits already, and then has room again."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.asked = 0
        self.number = number
        self.waits = threading.Event()

    def write(self, descriptor: int, data: bytes) -> None:
        self.asked += 1
        if self.asked == self.number:
            self.waits.wait(10)
            raise OSError(errno.ENOSPC, "full")
        super().write(descriptor, data)


async def test_what_was_handed_over_behind_a_failed_write_is_not_written(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    """It would stand where the bytes before it are missing."""
    files = _FullFor(2)
    uploads = CheckedUploads(FilesystemUploads(tmp_path, executor, files))
    data = content(6 * BATCH)

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(data), BATCH):
            if start == 3 * BATCH:  # the first is written, the second under way, the third handed over
                files.waits.set()
            yield data[start : start + BATCH]

    with pytest.raises(StorageFull):
        await uploads.append(KEY, 0, body(), "sha256")
    assert await uploads.size(KEY) == BATCH
    assert files.asked == 2
    await uploads.append(KEY, BATCH, pieces(data[BATCH:]), "sha256")
    await uploads.seal(KEY, digest_of(data))


async def test_strays_are_not_stale_uploads(uploads: FilesystemUploads, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    for number in range(20):
        (folder / f"stray-{number}").write_bytes(b"")
    (folder / upload_key(1)).write_bytes(b"")
    (folder / upload_key(2)).mkdir()
    (folder / upload_key(3)).symlink_to("/etc/hostname")
    assert await uploads.stale(time.time() + 60, 3) == [upload_key(1)]


async def test_without_a_folder_nothing_is_stale(uploads: FilesystemUploads) -> None:
    assert await uploads.stale(time.time(), 10) == []


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if everything were larger: all but the first batches of an upload goes past the page cache."""
    for name, value in (("WRITEBACK", BATCH), ("KEPT", BATCH), ("BEHIND", 2 * BATCH)):
        monkeypatch.setattr(writing_module, name, value)


class _Dropping(Files):
    """Remembers what was let go of; `broken` is the disk's error."""

    def __init__(self, broken: OSError | None = None) -> None:
        super().__init__()
        self.dropped: list[tuple[int, int]] = []
        self.broken = broken

    def drop(self, descriptor: int, offset: int, length: int) -> None:
        self.dropped.append((offset, offset + length))
        if self.broken is not None:
            raise self.broken
        super().drop(descriptor, offset, length)


@pytest.mark.usefixtures("small_windows")
async def test_a_large_upload_goes_past_the_page_cache(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """Piece after piece, nothing twice, the beginning and the end not at all; and the bytes are there."""
    files = _Dropping()
    data = content(10 * BATCH)
    uploads = FilesystemUploads(tmp_path, executor, files)
    known = await uploads.append(KEY, 0, pieces(data), "sha256")
    starts, stops = zip(*files.dropped, strict=True)
    assert starts == (BATCH, *stops[:-1])
    assert len(data) - 3 * BATCH <= stops[-1] <= len(data) - 2 * BATCH
    await uploads.seal(KEY, digest_of(data), Progress(known.size, None))


@pytest.mark.usefixtures("small_windows")
async def test_a_write_back_that_fails_takes_back_the_request(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """It is told once: a later sync would bless bytes that are lost."""
    files = _Dropping(OSError(errno.EIO, "made to fail"))
    uploads = FilesystemUploads(tmp_path, executor, files)
    await uploads.append(KEY, 0, pieces(b"before"), "sha256")
    with pytest.raises(OSError, match="made to fail"):
        await uploads.append(KEY, 6, pieces(content(10 * BATCH)), "sha256", 6)
    assert await uploads.size(KEY) == 6
