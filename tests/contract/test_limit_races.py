"""Counters of limits under transactions that meet on PostgreSQL: nobody waits for each other, and no count is lost.

SQLite has one writer at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from moorage.accounts.counters import DatabaseCounters, LocalCounters
from moorage.metadata.database import Database
from moorage.metadata.limits import add, trim
from moorage.metadata.postgres import engine
from moorage.metadata.tables_access import limit_counters
from moorage.testing.fakes import HeldClock
from tests.support.facts import opened
from tests.support.postgres import PostgresCluster

SECONDS = 60
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@pytest.fixture
def url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    with postgres_cluster.database(migrated=True) as made:
        yield made


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with opened(url) as one:
        yield one


@pytest.fixture
async def other(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction of another worker, as far as a test takes it."""
    connections = engine(url, pool_size=1)
    async with connections.connect() as one:
        yield one
    await connections.dispose()


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


async def waits(database: Database, task: asyncio.Task[object]) -> bool:
    """Wait until a transaction waits for a lock, or the task is done without that; whether one does."""
    while not task.done():
        if await database.read(lambda connection: connection.execute(WAITING).scalar_one()):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_workers_count_in_one_order(database: Database, other: AsyncConnection, clock: HeldClock) -> None:
    """Whoever waits for a counter has none that comes after it: whatever was counted first."""
    store = LocalCounters(database, clock)
    keys = ["e", "c", "a", "d", "b"]
    for key in keys:
        await store.incr(key, SECONDS)
    await store.reconcile()
    for key in keys:
        await store.incr(key, SECONDS)
    await other.run_sync(partial(add, key="b", amount=1, now=clock.now(), seconds=SECONDS))
    task = asyncio.create_task(store.reconcile())
    assert await waits(database, task)
    for key in ("c", "d", "e"):
        mine = select(limit_counters.c.key).where(limit_counters.c.key == key).with_for_update(nowait=True)
        assert (await other.execute(mine)).scalar() == key
    await other.commit()
    await task
    totals = DatabaseCounters(database, clock)
    assert [await totals.get(key) for key in "abcde"] == [2, 3, 2, 2, 2]


async def test_a_counter_that_begins_anew_is_not_removed(
    database: Database, other: AsyncConnection, clock: HeldClock
) -> None:
    """And who removes the others does not wait for it, with some in hand that the one who counts may want next."""
    totals = DatabaseCounters(database, clock)
    for key in "abc":
        await totals.incr(key, SECONDS)
    clock.advance(SECONDS)
    await other.run_sync(partial(add, key="b", amount=1, now=clock.now(), seconds=SECONDS))
    task = asyncio.create_task(database.write(partial(trim, now=clock.now(), limit=10)))
    waited = await waits(database, task)
    await other.commit()
    assert (await task, waited) == (2, False)
    assert [await totals.get(key) for key in "abc"] == [0, 1, 0]
