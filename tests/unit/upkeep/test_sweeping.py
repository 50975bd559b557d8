"""Upkeep: what is abandoned goes, what is alive stays, and of many workers one does the work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from moorage.core.digest import digest_of
from moorage.core.errors import StorageFull, Unavailable, UploadUnknown
from moorage.core.events import Event
from moorage.metadata.database import Database
from moorage.metadata.events import tell
from moorage.metadata.tables import events, uploads
from moorage.registry.chunk import Chunk
from moorage.registry.upload import SMALL
from moorage.testing.fakes import upload_key
from moorage.testing.streams import Waiting, pieces
from moorage.upkeep import sweeping
from moorage.upkeep.settings import EventSettings, UploadPurgeSettings
from moorage.upkeep.sweeping import Sweeper
from tests.support.facts import SqliteTemplate, opened
from tests.support.registry import ALICE, Registry, filesystem_store

NAME = "library/app"
HOUR, DAY = 3600, 86_400
SOME = b"12345" * 10_000
"""More than a row holds: what is swept up is files."""


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture
def registry(database: Database, tmp_path: Path, executor: ThreadPoolExecutor) -> Registry:
    return Registry(database, filesystem_store(tmp_path, executor))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "uploads"
    made.mkdir()
    return made


def sweeper_of(registry: Registry, keep: int = DAY, **purge: int | bool) -> Sweeper:
    settings = UploadPurgeSettings(**{"age_seconds": DAY, "interval_seconds": HOUR} | purge)  # type: ignore[arg-type]
    return Sweeper(registry.database, registry.store.uploads, settings, EventSettings(keep), registry.clock)


async def upload(registry: Registry, folder: Path, data: bytes = SOME) -> str:
    """A session with some bytes; its file, where it has one, is as old as the held clock says."""
    key = (await registry.uploads.begin(NAME, ALICE)).id
    if data:
        await registry.uploads.append(NAME, key, Chunk(pieces(data)))
    if len(data) > SMALL:
        set_time(registry, folder / key)
    return key


def set_time(registry: Registry, path: Path) -> None:
    os.utime(path, (registry.clock.now(), registry.clock.now()))


async def open_sessions(registry: Registry) -> set[str]:
    return set(await registry.database.read(lambda c: list(c.scalars(select(uploads.c.id)))))


# --- uploads


async def test_abandoned_uploads_go_with_their_bytes(registry: Registry, folder: Path) -> None:
    old = [await upload(registry, folder, data) for data in (SOME, b"small", b"")]
    registry.clock.advance(DAY + 1)
    assert await sweeper_of(registry).purge_uploads() == 3
    assert await open_sessions(registry) == set()
    assert list(folder.iterdir()) == []
    for key in old:
        with pytest.raises(UploadUnknown):
            await registry.uploads.append(NAME, key, Chunk(pieces(b"67890")))
    assert list(folder.iterdir()) == []


async def test_a_live_session_is_never_purged(registry: Registry, folder: Path) -> None:
    """Not by when it began, but by when it was last written to."""
    begun_long_ago = await upload(registry, folder)
    dead = await upload(registry, folder)
    registry.clock.advance(DAY - 10)
    await registry.uploads.append(NAME, begun_long_ago, Chunk(pieces(b"67890")))
    set_time(registry, folder / begun_long_ago)
    young = await upload(registry, folder)
    registry.clock.advance(20)
    assert await sweeper_of(registry).purge_uploads() == 1
    assert await open_sessions(registry) == {begun_long_ago, young}
    assert dead not in {path.name for path in folder.iterdir()}
    await registry.uploads.finish(NAME, begun_long_ago, digest_of(SOME + b"67890"), None, ALICE)
    await registry.uploads.finish(NAME, young, digest_of(SOME), None, ALICE)


async def test_a_disk_that_is_too_full_to_say_that_a_session_is_gone(registry: Registry, folder: Path) -> None:
    """Its bytes go first, which makes the room; then the row."""
    await upload(registry, folder)
    registry.clock.advance(DAY + 1)
    write = registry.database.write

    async def full(change: Callable[[Connection], Any], *, durable: bool = True) -> Any:
        if list(folder.iterdir()):
            raise StorageFull
        return await write(change, durable=durable)

    registry.database.write = full  # type: ignore[method-assign]
    assert await sweeper_of(registry).purge_uploads() == 1
    assert await open_sessions(registry) == set()


async def test_a_session_at_the_edge_stays(registry: Registry, folder: Path) -> None:
    key = await upload(registry, folder)
    registry.clock.advance(DAY)
    assert await sweeper_of(registry).purge_uploads() == 0
    assert await open_sessions(registry) == {key}


async def test_bytes_of_a_live_session_stay_though_their_file_is_old(registry: Registry, folder: Path) -> None:
    """The row is written after the bytes, a slow body ends long after its last byte, and clocks differ."""
    key = await upload(registry, folder)
    os.utime(folder / key, (registry.clock.now() - 5 * DAY, registry.clock.now() - 5 * DAY))
    assert await sweeper_of(registry).purge_uploads() == 0
    assert await registry.uploads.status(NAME, key) == len(SOME)
    await registry.uploads.finish(NAME, key, digest_of(SOME), None, ALICE)


async def test_orphan_files_go(registry: Registry, folder: Path) -> None:
    """Bytes without a session: a crash between the two steps of a purge, or of a put."""
    for number in range(5):
        (folder / upload_key(900 + number)).write_bytes(b"orphan")
        set_time(registry, folder / upload_key(900 + number))
    live = await upload(registry, folder)
    sweeper = sweeper_of(registry)
    assert await sweeper.purge_uploads() == 0, "young ones may belong to a request that is under way"
    registry.clock.advance(DAY + 1)
    await registry.uploads.append(NAME, live, Chunk(pieces(b"6")))
    set_time(registry, folder / live)
    assert await sweeper.purge_uploads() == 5
    assert [path.name for path in folder.iterdir()] == [live]


async def test_strays_stop_nothing_and_are_left_alone(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other people's files, folders, links, also more of them than a step has."""
    monkeypatch.setattr(sweeping, "STEP", 3)
    old = registry.clock.now() - 10 * DAY
    for number in range(8):
        (folder / f"stray-{number}").write_bytes(b"x")
        os.utime(folder / f"stray-{number}", (old, old))
    (folder / "a folder").mkdir()
    (folder / upload_key(800)).mkdir()
    (folder / upload_key(801)).symlink_to("/etc/hostname")
    (folder / ".hidden").write_bytes(b"")
    left = {path.name for path in folder.iterdir()}
    for number in range(7):
        (folder / upload_key(900 + number)).write_bytes(b"orphan")
        os.utime(folder / upload_key(900 + number), (old, old))
    assert await sweeper_of(registry).purge_uploads() == 7
    assert {path.name for path in folder.iterdir()} == left


async def test_more_live_sessions_with_old_files_than_a_step_has(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The purge comes to an end, and takes the orphan among them."""
    monkeypatch.setattr(sweeping, "STEP", 3)
    live = [await upload(registry, folder) for _ in range(8)]
    (folder / upload_key(900)).write_bytes(b"orphan")
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    async with asyncio.timeout(20):
        await sweeper_of(registry).purge_uploads()
    assert await open_sessions(registry) == set(live)
    assert {path.name for path in folder.iterdir()} >= set(live)


async def test_very_many(registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "STEP", 4)
    for _ in range(18):
        await upload(registry, folder)
    registry.clock.advance(DAY + 1)
    young = [await upload(registry, folder) for _ in range(3)]
    assert await sweeper_of(registry).purge_uploads() == 18
    assert await open_sessions(registry) == set(young)
    assert {path.name for path in folder.iterdir()} == set(young)


async def test_a_dry_run_only_says(registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "STEP", 2)
    keys = {await upload(registry, folder) for _ in range(5)}
    (folder / upload_key(900)).write_bytes(b"orphan")
    os.utime(folder / upload_key(900), (0, 0))
    registry.clock.advance(DAY + 1)
    assert await sweeper_of(registry, dryrun=True).purge_uploads() >= 5
    assert await open_sessions(registry) == keys
    assert {path.name for path in folder.iterdir()} == {*keys, upload_key(900)}


async def test_a_session_that_is_being_written_to_while_it_is_purged(registry: Registry, folder: Path) -> None:
    """The client learns that it is gone; no bytes stay behind."""
    key = await upload(registry, folder)
    registry.clock.advance(DAY + 1)
    body = Waiting(b"more", b"and more")
    writer = asyncio.create_task(registry.uploads.append(NAME, key, Chunk(body.pieces())))
    await body.begun()
    await sweeper_of(registry).purge_uploads()
    body.go_on()
    with suppress(UploadUnknown):
        await writer
    if key in await open_sessions(registry):
        assert await registry.uploads.status(NAME, key) == 17
    else:
        assert list(folder.iterdir()) == []


async def test_a_session_that_wakes_up_in_the_same_moment(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list of stale ones and the removal somebody wrote to it."""
    key = await upload(registry, folder)
    registry.clock.advance(DAY + 1)
    sweeper = sweeper_of(registry)
    purge_one = sweeper._purge_one

    async def wake_first(stale: str, before: float) -> bool:
        await registry.uploads.append(NAME, stale, Chunk(pieces(b"67890")))
        return await purge_one(stale, before)

    monkeypatch.setattr(sweeper, "_purge_one", wake_first)
    await sweeper.purge_uploads()
    assert await registry.uploads.finish(NAME, key, digest_of(SOME + b"67890"), None, ALICE) == len(SOME) + 5


# --- the outbox


async def test_the_outbox_is_trimmed_by_age(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "STEP", 3)
    now = registry.clock.now()
    for age in range(20):
        await registry.database.write(lambda c, at=now - age: tell(c, Event("push", NAME), at))  # type: ignore[misc]
    assert await sweeper_of(registry, keep=5).trim_events() == 14
    kept = await registry.database.read(lambda c: list(c.scalars(select(events.c.at).order_by(events.c.at))))
    assert kept == [now - age for age in range(5, -1, -1)]
    assert await sweeper_of(registry, keep=5).trim_events() == 0


# --- whose turn


@pytest.fixture
async def workers(registry: Registry, sqlite_template: SqliteTemplate, tmp_path: Path) -> AsyncIterator[list[Sweeper]]:
    """16 workers in four processes."""
    url = f"sqlite:///{tmp_path / 'moorage.db'}"
    async with opened(url) as second, opened(url) as third, opened(url) as fourth:
        databases = (registry.database, second, third, fourth)
        settings = UploadPurgeSettings(age_seconds=DAY, interval_seconds=HOUR)
        yield [
            Sweeper(databases[number % 4], registry.store.uploads, settings, EventSettings(DAY), registry.clock)
            for number in range(16)
        ]


async def test_of_16_workers_one_purges(
    registry: Registry, workers: list[Sweeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    purged: list[Sweeper] = []
    trimmed: list[Sweeper] = []

    async def purge(self: Sweeper) -> int:
        purged.append(self)
        return 0

    async def trim(self: Sweeper) -> int:
        trimmed.append(self)
        return 0

    monkeypatch.setattr(Sweeper, "purge_uploads", purge)
    monkeypatch.setattr(Sweeper, "trim_events", trim)

    async def turn() -> tuple[int, int]:
        before = (len(purged), len(trimmed))
        await asyncio.gather(*(worker.turn() for worker in workers))
        return len(purged) - before[0], len(trimmed) - before[1]

    await turn()
    for _ in range(4):
        registry.clock.advance(HOUR)
        assert await turn() == (1, 1)
        assert await turn() == (0, 0)
        registry.clock.advance(HOUR - 1)
        assert await turn() == (0, 0)
        registry.clock.advance(1)
        assert await turn() == (1, 1)


async def test_a_turn_that_was_missed_is_taken_once(registry: Registry, folder: Path) -> None:
    """Nothing ran for a week: the work is done at the next look, and not seven times."""
    sweeper = sweeper_of(registry)
    await sweeper.turn()
    await upload(registry, folder)
    registry.clock.advance(7 * DAY)
    await sweeper.turn()
    assert await open_sessions(registry) == set()
    await upload(registry, folder)
    await sweeper.turn()
    assert len(await open_sessions(registry)) == 1


async def test_switched_off_nothing_is_purged_and_events_are_trimmed(registry: Registry, folder: Path) -> None:
    sweeper = sweeper_of(registry, enabled=False)
    await sweeper.turn()
    await upload(registry, folder)
    await registry.database.write(lambda c: tell(c, Event("push", NAME), 0.0))
    registry.clock.advance(7 * DAY)
    await sweeper.turn()
    assert len(await open_sessions(registry)) == 1
    assert await registry.count(events) == 0


# --- for as long as the worker lives


@pytest.mark.parametrize("failure", [Unavailable(), ZeroDivisionError()])
async def test_a_turn_that_fails_ends_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(sweeping, "LOOK_SECONDS", 0.0)
    sweeper = sweeper_of(registry)
    turns = asyncio.Semaphore(0)
    failed = 0

    async def turn() -> None:
        nonlocal failed
        turns.release()
        if failed < 3:
            failed += 1
            raise failure

    monkeypatch.setattr(sweeper, "turn", turn)
    running = asyncio.create_task(sweeper.run())
    async with asyncio.timeout(10):
        for _ in range(6):
            await turns.acquire()
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert failed == 3
