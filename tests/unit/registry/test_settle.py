"""Small blobs wait for one sync together; until then their bytes are with the facts, and nothing else may lose them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Connection, select

from moorage.blobs import disk
from moorage.blobs.checked import CheckedBlobs, CheckedUploads
from moorage.blobs.files import Files
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.filesystem_uploads import FilesystemUploads
from moorage.blobs.unsynced import UnsyncedFiles
from moorage.core.digest import Digest, digest_of
from moorage.core.errors import BlobUnknown, RegistryError, StorageFull, Unavailable
from moorage.metadata.database import Database
from moorage.metadata.factory import open_database
from moorage.metadata.tables import unsynced_blobs
from moorage.metadata.unsynced import unsynced_content
from moorage.registry import settle
from moorage.registry.settle import Settling
from moorage.testing.blob_store import Store
from moorage.testing.streams import content, read_all
from tests.support.facts import SqliteTemplate
from tests.support.failing import Failing
from tests.support.registry import Registry

NAME = "library/app"


@pytest.fixture
def root() -> Iterator[Path]:
    """In memory: whatever filesystem the tests run on, blobs wait on that one."""
    with TemporaryDirectory(prefix="moorage-settle-", dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
async def database(sqlite_template: SqliteTemplate, tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(sqlite_template.copy_to(tmp_path / "a.db"))
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture
def probe() -> Failing:
    return Failing()


@pytest.fixture
def registry(database: Database, root: Path, executor: ThreadPoolExecutor, probe: Failing) -> Registry:
    files = Files(probe)
    blobs = CheckedBlobs(FilesystemBlobs(root, executor, files, partial(unsynced_content, database)))
    return Registry(database, Store(blobs, CheckedUploads(FilesystemUploads(root, executor, files))))


async def kept(registry: Registry) -> list[tuple[int, str]]:
    def query(connection: Connection) -> list[tuple[int, str]]:
        return [
            (row[0], row[1]) for row in connection.execute(select(unsynced_blobs.c.number, unsynced_blobs.c.digest))
        ]

    return await registry.database.read(query)


async def pulled(registry: Registry, data: bytes) -> bytes:
    blob = await registry.pull.blob(NAME, digest_of(data))
    return await read_all(await registry.pull.source(blob, 0, blob.size))


def path_of(root: Path, digest: Digest) -> Path:
    return root / f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data"


async def test_bytes_are_kept_until_they_have_a_durable_file(registry: Registry, root: Path, probe: Failing) -> None:
    digest = await registry.push_blob(NAME, b"small")
    assert [row[1] for row in await kept(registry)] == [digest]
    assert probe.points == [], "the push did nothing at the disk of the blobs"
    assert await pulled(registry, b"small") == b"small"
    await registry.settling.settle()
    assert probe.points[-2:] == ["syncfs", "syncfs-done"]
    assert "fsync" not in probe.points
    assert path_of(root, digest).read_bytes() == b"small"
    assert await kept(registry) == []
    assert await pulled(registry, b"small") == b"small"


async def test_a_large_blob_is_durable_at_once(registry: Registry) -> None:
    await registry.push_blob(NAME, content(100_000))
    assert await kept(registry) == []


async def test_nothing_to_settle_is_no_sync(registry: Registry, probe: Failing) -> None:
    await registry.settling.settle()
    await registry.settling.sweep()
    assert probe.points == []


async def test_numbers_are_not_used_again(registry: Registry) -> None:
    """A sync that is under way was not for what comes during it."""
    await registry.push_blob(NAME, b"one")
    first = await kept(registry)
    await registry.settling.settle()
    await registry.push_blob(NAME, b"two")
    assert (await kept(registry))[0][0] > first[0][0]


@pytest.mark.parametrize("sweeping", [False, True], ids=["settle", "sweep"])
async def test_what_comes_meanwhile_waits_for_the_next(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch, sweeping: bool
) -> None:
    """Also the same blob once more: somebody may have removed its file after our sync."""
    real = registry.store.blobs.settle
    removed: list[Digest] = []

    async def during(blobs: Sequence[tuple[Digest, bytes]], *, left: bool) -> dict[Digest, OSError]:
        failed = await real(blobs, left=left)
        if not removed:
            removed.append(blobs[0][0])
            await registry.store.blobs.delete(blobs[0][0])
            await registry.push_blob(NAME, b"late")
            await registry.push_blob(NAME, b"early")
        return failed

    early = await registry.push_blob(NAME, b"early")
    monkeypatch.setattr(registry.store.blobs, "settle", during)
    await (registry.settling.sweep() if sweeping else registry.settling.settle())
    assert removed == [early]
    assert {row[1] for row in await kept(registry)} == {digest_of(b"late"), early}
    assert await pulled(registry, b"early") == b"early"
    await registry.settling.settle()
    assert await kept(registry) == []
    assert path_of(root, early).read_bytes() == b"early"


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 1000), (1000, 3)])
async def test_more_than_wait_are_durable_at_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, probe: Failing, most: int, most_bytes: int
) -> None:
    monkeypatch.setattr(settle, "MOST", most)
    monkeypatch.setattr(settle, "MOST_BYTES", most_bytes)
    for number in range(5):
        await registry.push_blob(NAME, f"{number}".encode())
    assert len(await kept(registry)) == 3
    assert probe.points.count("fsync") == 2
    await registry.settling.settle()
    await registry.push_blob(NAME, b"again")
    assert len(await kept(registry)) == 1


async def test_a_sync_that_fails_has_all_written_again(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch, probe: Failing
) -> None:
    """The system says once what it could not write; who hears it does not ask again, but writes."""

    def fails(_: UnsyncedFiles) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    digests = [await registry.push_blob(NAME, f"{number}".encode()) for number in range(3)]
    monkeypatch.setattr(UnsyncedFiles, "settle", fails)
    await registry.settling.settle()
    assert probe.points.count("fsync-done") == 3
    assert await kept(registry) == []
    for number, digest in enumerate(digests):
        assert path_of(root, digest).read_bytes() == f"{number}".encode()


async def test_a_disk_that_fails_keeps_the_bytes(registry: Registry, probe: Failing) -> None:
    await registry.push_blob(NAME, b"small")

    probe.always = True
    with pytest.raises(Unavailable):
        await registry.settling.settle()
    assert len(await kept(registry)) == 1
    assert await pulled(registry, b"small") == b"small"
    probe.always = False
    await registry.settling.settle()
    assert await kept(registry) == []


@pytest.mark.parametrize(("error", "refusal"), [(errno.EIO, Unavailable), (errno.ENOSPC, StorageFull)])
async def test_a_disk_that_takes_no_blob_refuses_the_pushes_that_follow(
    registry: Registry, probe: Failing, error: int, refusal: type[RegistryError]
) -> None:
    """Who pushes is told, though the database would take the bytes; the first blob that is taken ends it."""
    probe.error = error
    await registry.push_blob(NAME, b"first")
    probe.always = True
    with pytest.raises(refusal):
        await registry.settling.settle()
    with pytest.raises(refusal):
        await registry.push_blob(NAME, b"second")
    probe.always = False
    await registry.push_blob(NAME, b"third")
    await registry.push_blob(NAME, b"fourth")
    assert [row[1] for row in await kept(registry)] == [digest_of(b"first"), digest_of(b"fourth")]


async def test_one_blob_that_cannot_be_stored_lets_others_wait(registry: Registry, root: Path) -> None:
    await blocked(registry, root)
    for turn in range(3):
        with pytest.raises(Unavailable):
            await registry.settling.settle()
        await registry.push_blob(NAME, f"durable or not {turn}".encode())
        await registry.push_blob(NAME, f"waits {turn}".encode())
        assert digest_of(f"waits {turn}".encode()) in [row[1] for row in await kept(registry)]


async def test_a_sweep_leaves_what_came_since_the_last_one(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took it stores it in a moment; two that do make each other write files again. Also after a failure."""
    monkeypatch.setattr(settle, "PAUSE", 0.0)
    monkeypatch.setattr(settle, "SWEEP", 0.0)
    await blocked(registry, root)
    other = Settling(registry.database, registry.store.blobs, on=True)
    real = other.sweep
    asked: list[tuple[int | None, int]] = []

    async def noted(last: int | None = None) -> None:
        if len(asked) < 4:
            await registry.push_blob(NAME, f"{len(asked)}".encode())
        asked.append((last, (await kept(registry))[-1][0]))
        await real(last)

    monkeypatch.setattr(other, "sweep", noted)
    async with running(other), asyncio.timeout(10):
        while len(asked) < 4:
            await asyncio.sleep(0.001)
    assert asked[0][0] is None
    assert all(last is not None and last < newest for last, newest in asked[1:4])


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_of_settling_fails_once(registry: Registry, root: Path, probe: Failing, error: int) -> None:
    probe.error = error
    for at in count(1):
        digests = [await registry.push_blob(NAME, f"{at} {number}".encode()) for number in range(2)]
        probe.at = at
        probe.points.clear()
        with suppress(RegistryError):
            await registry.settling.settle()
        failed = probe.failed
        probe.at = 0
        assert [await pulled(registry, f"{at} {number}".encode()) for number in range(2)] == [
            f"{at} {number}".encode() for number in range(2)
        ]
        await registry.settling.settle()
        assert await kept(registry) == []
        assert [path_of(root, digest).read_bytes() for digest in digests] == [
            f"{at} {number}".encode() for number in range(2)
        ]
        if not failed:
            break
    assert at > 8


@pytest.mark.parametrize("damage", ["none", "empty", "torn"])
async def test_what_another_process_has_left_is_stored(registry: Registry, root: Path, damage: str) -> None:
    """It was killed, or lost its power: there is no file, or as a journalling filesystem may leave it."""
    digest = await registry.push_blob(NAME, b"small")
    path = path_of(root, digest)
    if damage != "none":
        path.parent.mkdir(parents=True)
        path.write_bytes(b"" if damage == "empty" else b"\0" * 5)
    again = Settling(registry.database, registry.store.blobs, on=True)
    assert await pulled(registry, b"small") == b"small"
    await again.sweep()
    assert path.read_bytes() == await pulled(registry, b"small") == b"small"
    assert await kept(registry) == []
    assert again.has_room
    await registry.settling.settle()
    assert path.read_bytes() == b"small"


async def test_sweeping_many(registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "STEP", 3)
    digests = [await registry.push_blob(NAME, f"{number}".encode()) for number in range(10)]
    await Settling(registry.database, registry.store.blobs, on=True).sweep()
    assert [path_of(root, digest).read_bytes() for digest in digests] == [f"{number}".encode() for number in range(10)]
    assert await kept(registry) == []


async def test_a_push_whose_facts_fail_keeps_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(registry.database, "write", refuse)
        with suppress(Unavailable):
            await registry.push_blob(NAME, b"small")
    assert await kept(registry) == []
    with pytest.raises(BlobUnknown):
        await registry.pull.blob(NAME, digest_of(b"small"))


async def test_pulls_while_blobs_settle(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """At no moment is a blob in neither place."""
    monkeypatch.setattr(settle, "PAUSE", 0.0)
    async with running(registry.settling):
        for number in range(50):
            data = f"{number}".encode()
            await registry.push_blob(NAME, data)
            while await kept(registry):
                assert await pulled(registry, data) == data
                await asyncio.sleep(0)
            assert await pulled(registry, data) == data


@asynccontextmanager
async def running(settling: Settling) -> AsyncIterator[None]:
    task = asyncio.create_task(settling.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_it_ends_in_the_moment_in_which_something_comes(registry: Registry) -> None:
    """`asyncio.wait_for` of Python 3.11 forgets that it was cancelled there, and a worker would never end."""
    task = asyncio.create_task(registry.settling.run())
    await asyncio.sleep(0.05)
    registry.settling.add(digest_of(b"x"), b"x")
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_it_runs_by_itself_and_goes_on_after_a_failure(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "PAUSE", 0.001)
    real, asked = registry.store.blobs.settle, []

    async def fails_twice(blobs: Sequence[tuple[Digest, bytes]], *, left: bool) -> dict[Digest, OSError]:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("a bug")
        if len(asked) == 2:
            raise Unavailable
        return await real(blobs, left=left)

    monkeypatch.setattr(registry.store.blobs, "settle", fails_twice)
    async with running(registry.settling), asyncio.timeout(10):
        for number in range(3):
            await registry.push_blob(NAME, f"{number}".encode())
            while await kept(registry):
                await asyncio.sleep(0.001)
    assert len(asked) >= 3


async def test_where_it_is_off_nothing_waits(registry: Registry, probe: Failing) -> None:
    """On PostgreSQL: another instance serves while the machine that lost its power is down."""
    settling = Settling(registry.database, registry.store.blobs, on=False)
    assert not settling.has_room
    sealed = await registry.store.blobs.put(digest_of(b"x"), b"x", kept=settling.has_room)
    assert sealed.content is None
    assert "fsync-directory-done" in probe.points


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_what_a_failed_sync_was_for_is_never_taken_for_durable(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, probe: Failing, error: int
) -> None:
    """The files are whole to whoever reads them, and the next sync says nothing: they are in memory only."""

    def fails(_: Files, descriptor: int) -> None:
        raise OSError(error, os.strerror(error))

    for number in range(3):
        await registry.push_blob(NAME, f"{number}".encode())
    with monkeypatch.context() as patch:
        patch.setattr(Files, "sync_filesystem", fails)
        patch.setattr(Files, "sync", fails)
        with pytest.raises(RegistryError):
            await registry.settling.settle()
    assert len(await kept(registry)) == 3
    probe.points.clear()
    await registry.settling.settle()
    assert probe.points.count("fsync-done") == 3
    assert await kept(registry) == []


async def test_a_file_that_another_process_has_left_is_written_again(
    registry: Registry, root: Path, probe: Failing
) -> None:
    """It may have been told that it could not be synced, and nobody is told so again."""
    digest = await registry.push_blob(NAME, b"small")
    path = path_of(root, digest)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"small")
    await Settling(registry.database, registry.store.blobs, on=True).sweep()
    assert probe.points.count("fsync-done") == 1
    assert path.read_bytes() == b"small"
    assert await kept(registry) == []


async def blocked(registry: Registry, root: Path) -> Path:
    """A blob whose place something else has."""
    place = path_of(root, digest_of(b"blocked")).parent
    place.parent.mkdir(parents=True)
    place.write_bytes(b"a file where a folder should be")
    await registry.push_blob(NAME, b"blocked")
    return place


@pytest.mark.parametrize("sweeping", [False, True], ids=["settle", "sweep"])
async def test_a_blob_that_cannot_be_stored_is_not_in_the_way_of_others(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch, probe: Failing, sweeping: bool
) -> None:
    monkeypatch.setattr(settle, "STEP", 2)
    place = await blocked(registry, root)
    others = [await registry.push_blob(NAME, f"{number}".encode()) for number in range(5)]
    work = registry.settling.sweep if sweeping else registry.settling.settle
    with pytest.raises(Unavailable):
        await work()
    assert [row[1] for row in await kept(registry)] == [digest_of(b"blocked")]
    assert [path_of(root, digest).read_bytes() for digest in others] == [f"{number}".encode() for number in range(5)]
    assert "fsync" not in probe.points
    assert await pulled(registry, b"blocked") == b"blocked"
    place.unlink()
    await work()
    assert await kept(registry) == []
    assert await pulled(registry, b"blocked") == b"blocked"


async def test_what_cannot_be_stored_takes_no_more_room_than_it_has(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "MOST_BYTES", len(b"blocked") + 3)
    place = await blocked(registry, root)
    for _ in range(3):
        await registry.push_blob(NAME, b"123")
        assert not registry.settling.has_room
        with pytest.raises(Unavailable):
            await registry.settling.settle()
        assert registry.settling.has_room
    place.unlink()
    await registry.settling.settle()
    assert await kept(registry) == []


async def test_what_others_have_left_is_not_in_the_way_of_ones_own(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "PAUSE", 0.001)
    monkeypatch.setattr(settle, "MOST", 1)
    await blocked(registry, root)
    ours = Registry(registry.database, registry.store)
    async with running(ours.settling), asyncio.timeout(10):
        await ours.push_blob(NAME, b"ours")
        while not ours.settling.has_room:
            await asyncio.sleep(0.001)
    assert [row[1] for row in await kept(registry)] == [digest_of(b"blocked")]


async def test_what_could_not_be_stored_is_tried_again_by_itself(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "PAUSE", 0.001)
    real, asked = registry.store.blobs.settle, []

    async def noted(blobs: Sequence[tuple[Digest, bytes]], *, left: bool) -> dict[Digest, OSError]:
        failed = await real(blobs, left=left)
        asked.append(failed)
        return failed

    monkeypatch.setattr(registry.store.blobs, "settle", noted)
    async with running(registry.settling), asyncio.timeout(10):
        await asyncio.sleep(0.05)  # the first sweep has been
        place = await blocked(registry, root)
        while len(asked) < 3:
            await asyncio.sleep(0.001)
        place.unlink()
        while await kept(registry):
            await asyncio.sleep(0.001)


async def test_what_was_left_is_stored_though_nobody_pushes(
    registry: Registry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a worker that begins, and now and then."""
    monkeypatch.setattr(settle, "PAUSE", 0.001)
    first = await registry.push_blob(NAME, b"before the start")
    async with running(Settling(registry.database, registry.store.blobs, on=True)), asyncio.timeout(10):
        while await kept(registry):
            await asyncio.sleep(0.001)
    monkeypatch.setattr(settle, "SWEEP", 0.01)
    async with running(Settling(registry.database, registry.store.blobs, on=True)), asyncio.timeout(10):
        await asyncio.sleep(0.05)
        later = await registry.push_blob(NAME, b"later")
        while await kept(registry):
            await asyncio.sleep(0.001)
    assert all(path_of(root, digest).is_file() for digest in (first, later))


async def test_what_waits_is_served_and_stored_on_a_filesystem_that_makes_none_wait(
    registry: Registry, root: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, probe: Failing
) -> None:
    """The root was moved to another disk after a crash."""
    digest = await registry.push_blob(NAME, b"small")
    monkeypatch.setattr(disk, "MOUNTS", "/dev/null")
    files = Files(probe)
    blobs = CheckedBlobs(FilesystemBlobs(root, executor, files, partial(unsynced_content, registry.database)))
    moved = Registry(registry.database, Store(blobs, CheckedUploads(FilesystemUploads(root, executor, files))))
    assert await pulled(moved, b"small") == b"small"
    await moved.settling.sweep()
    assert probe.points.count("fsync-done") == 1
    assert await kept(moved) == []
    assert path_of(root, digest).read_bytes() == await pulled(moved, b"small") == b"small"
    await moved.push_blob(NAME, b"another")
    assert await kept(moved) == []
