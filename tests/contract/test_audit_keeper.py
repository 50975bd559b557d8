"""The keeper of the audit log: what comes round each second, by whichever worker comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from sqlalchemy import select

from moorage.accounts.audit_log import AuditFilter, AuditLog
from moorage.accounts.settings import AuditSettings
from moorage.core.access import SYSTEM
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Unavailable
from moorage.metadata.audit import record
from moorage.metadata.database import Database
from moorage.metadata.limits import add
from moorage.metadata.tables_access import limit_counters
from moorage.testing.fakes import HeldClock
from moorage.upkeep import auditing
from moorage.upkeep.auditing import LOOK_SECONDS, TRIM_SECONDS, AuditKeeper
from tests.support.facts import Facts

ENTRY = AuditEntry("tag.delete", OK, SYSTEM, "repository", "team/app")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


async def test_it_flushes_seals_and_removes(facts: Facts, elsewhere: Database, clock: HeldClock) -> None:
    flushed: list[str] = []

    async def flush() -> None:
        flushed.append("one")
        await facts.write(record, ENTRY, clock.now())

    one = AuditKeeper(facts.database, clock, AuditSettings(enabled=True, keep_seconds=60), [flush])
    other = AuditKeeper(elsewhere, clock, AuditSettings(enabled=True, keep_seconds=60))
    log = AuditLog(facts.database)
    for _ in range(4):
        await one.turn()
        await other.turn()
        clock.advance(1)
    assert len(flushed) == 4
    verdict = await log.verify()
    assert verdict.intact
    assert verdict.checked >= 3
    assert verdict.waiting <= 1
    before = verdict.last
    await facts.write(add, "some counter", 1, clock.now(), 5)
    for _ in range(int(2 * TRIM_SECONDS / LOOK_SECONDS)):
        clock.advance(LOOK_SECONDS)
        await other.turn()
    verdict = await log.verify()
    assert verdict.intact
    assert verdict.anchor >= before - 1
    query = select(limit_counters.c.key).where(limit_counters.c.key == "some counter")
    assert await facts.read(lambda connection: connection.execute(query).first()) is None
    await one.close()
    assert len(flushed) == 5


async def test_switched_off_it_seals_nothing(facts: Facts, clock: HeldClock) -> None:
    await facts.write(record, ENTRY, clock.now())
    before = (await AuditLog(facts.database).verify()).waiting
    keeper = AuditKeeper(facts.database, clock, AuditSettings(enabled=False))
    for _ in range(5):
        await keeper.turn()
        clock.advance(1)
    assert (await AuditLog(facts.database).verify()).waiting == before


async def test_it_goes_on_after_a_failure(facts: Facts, clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "TURN_SECONDS", 0.01)
    failures: list[Exception] = [Unavailable(), Unavailable(), ZeroDivisionError()]
    turns = 0

    async def flush() -> None:
        nonlocal turns
        turns += 1
        if failures:
            raise failures.pop(0)

    works: list[Callable[[], Awaitable[object]]] = [flush]
    task = asyncio.create_task(AuditKeeper(facts.database, clock, AuditSettings(enabled=True), works).run())
    async with asyncio.timeout(10):
        while turns < 6:
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not failures


async def test_pages_end(facts: Facts, clock: HeldClock) -> None:
    await facts.write(record, ENTRY, clock.now())
    page = await AuditLog(facts.database).list(AuditFilter(actor="nobody"))
    assert (page.entries, page.next) == ([], None)
