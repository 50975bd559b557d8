"""Counters of limits and failed logins, on both databases and in memory."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import select

from moorage.accounts import counters as storages
from moorage.accounts.attempts import SAME_SECONDS, LoginAttempts
from moorage.accounts.counters import DatabaseCounters, LocalCounters
from moorage.accounts.settings import LoginLimits, Rate
from moorage.core.errors import TooManyRequests, Unavailable
from moorage.metadata.database import Database
from moorage.metadata.limits import add, trim
from moorage.metadata.tables_access import limit_counters
from moorage.testing.fakes import HeldClock
from tests.support.facts import Facts

LIMITS = LoginLimits(pair=Rate(3, 60), address=Rate(6, 60), account=Rate(8, 600))
SECRET = b"a key for tests"


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def account() -> str:
    return f"user-{uuid.uuid4().hex}"


@pytest.fixture
def net() -> str:
    """The first half of IPv6 addresses that no other test uses."""
    text = uuid.uuid4().hex
    return f"{text[:4]}:{text[4:8]}:{text[8:12]}:{text[12:16]}"


@pytest.fixture
def attempts(database: Database, clock: HeldClock) -> LoginAttempts:
    return LoginAttempts(DatabaseCounters(database, clock), LIMITS, SECRET, clock)


async def fail(attempts: LoginAttempts, account: str, address: str, times: int) -> None:
    for _ in range(times):
        await attempts.failed(account, address, uuid.uuid4().hex)


async def refused(attempts: LoginAttempts, account: str, address: str) -> int:
    """The seconds that the refusal tells to wait; 0 where it is none."""
    try:
        await attempts.check(account, address)
    except TooManyRequests as error:
        return int(dict(error.headers)["retry-after"])
    return 0


async def test_nothing_is_lost_among_sixteen_writers(
    database: Database, elsewhere: Database, clock: HeldClock, key: str
) -> None:
    stores = [DatabaseCounters(one, clock) for one in (database, elsewhere)]

    async def count(number: int) -> list[int]:
        return [await stores[number % 2].incr(key, 60) for _ in range(25)]

    seen = await asyncio.gather(*(count(number) for number in range(16)))
    assert sorted(value for values in seen for value in values) == list(range(1, 401))
    assert await stores[0].get(key) == 400


async def test_a_counter_begins_anew_when_its_time_is_over(database: Database, clock: HeldClock, key: str) -> None:
    store = DatabaseCounters(database, clock)
    assert [await store.incr(key, 60), await store.incr(key, 60, 4)] == [1, 5]
    assert await store.get_expiry(key) == clock.now() + 60
    clock.advance(59)
    assert await store.incr(key, 60) == 6  # the window is not prolonged
    clock.advance(1)
    assert await store.get(key) == 0
    assert await store.incr(key, 60) == 1
    await store.clear(key)
    assert (await store.get(key), await store.get_expiry(key)) == (0, clock.now())
    assert await store.check()


async def test_counters_whose_time_is_over_are_removed(facts: Facts, key: str) -> None:
    for number in range(5):
        await facts.write(add, f"{key}/{number}", 1, 1000.0, 10 + number)
    removed = 0
    while count := await facts.write(trim, 1012.0, 2):
        removed += count
    assert removed >= 3
    query = select(limit_counters.c.key).where(limit_counters.c.key.startswith(key))
    left = await facts.read(lambda connection: connection.execute(query).scalars().all())
    assert sorted(left) == [f"{key}/3", f"{key}/4"]


async def test_workers_agree_after_they_reconcile(
    database: Database, elsewhere: Database, clock: HeldClock, key: str
) -> None:
    one, other = LocalCounters(database, clock), LocalCounters(elsewhere, clock)
    assert [await one.incr(key, 60) for _ in range(3)] == [1, 2, 3]
    assert [await other.incr(key, 60) for _ in range(2)] == [1, 2]  # what the first counted is not told yet
    await one.reconcile()
    await other.reconcile()
    assert await other.get(key) == 5
    await one.incr(key, 60)
    await one.reconcile()
    assert await one.get(key) == 6
    assert await LocalCounters(database, clock).get(key) == 6  # one that never saw the key looks it up
    assert await one.incr(key, 60, -2) == 4
    await one.reconcile()
    assert await DatabaseCounters(database, clock).get(key) == 4
    clock.advance(60)
    assert await one.incr(key, 60) == 1


async def test_counting_locally_writes_nothing(database: Database, clock: HeldClock, key: str) -> None:
    store = LocalCounters(database, clock)
    for _ in range(50):
        await store.incr(key, 60)
    assert await DatabaseCounters(database, clock).get(key) == 0
    await store.reconcile()
    assert await DatabaseCounters(database, clock).get(key) == 50
    await store.reconcile()
    assert await DatabaseCounters(database, clock).get(key) == 50


class Down:
    """A database whose writes fail, until it is `up`."""

    def __init__(self, database: Database) -> None:
        self.lookup = database.lookup
        self._write = database.write
        self.up = False

    async def write(self, change: object, *, durable: bool = True) -> object:
        if not self.up:
            raise Unavailable
        return await self._write(change, durable=durable)  # type: ignore[arg-type]


async def test_what_could_not_be_told_is_told_later(database: Database, clock: HeldClock, key: str) -> None:
    down = Down(database)
    store = LocalCounters(down, clock)  # type: ignore[arg-type]
    await store.incr(key, 60)
    with pytest.raises(Unavailable):
        await store.reconcile()
    assert await store.incr(key, 60) == 2
    down.up = True
    await store.reconcile()
    assert await DatabaseCounters(database, clock).get(key) == 2


async def test_memory_is_bounded(clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "MOST", 3)
    store = LocalCounters(None, clock)
    for name in ("a", "b", "c"):
        await store.incr(name, 60)
    await store.incr("a", 60)
    await store.incr("d", 60)
    assert [await store.get(name) for name in ("a", "b", "c", "d")] == [2, 0, 1, 1]
    assert await store.reset() == 3
    assert await store.get("a") == 0


async def test_an_account_waits_at_one_address_only(
    attempts: LoginAttempts, clock: HeldClock, account: str, net: str
) -> None:
    await fail(attempts, account, f"{net}::1", 2)
    assert await refused(attempts, account, f"{net}::1") == 0
    await fail(attempts, account, f"{net}::2", 1)  # the same network of 64 bits: the same customer
    assert await refused(attempts, account, f"{net}::3") == 60
    assert await refused(attempts, account.upper(), f"{net}::1") == 60
    assert await refused(attempts, account, "192.0.2.1") == 0
    assert await refused(attempts, f"{account}-other", f"{net}::1") == 0
    clock.advance(45.5)
    assert await refused(attempts, account, f"{net}::1") == 15
    clock.advance(15)
    assert await refused(attempts, account, f"{net}::1") == 0


async def test_an_address_waits_whatever_the_account(attempts: LoginAttempts, account: str, net: str) -> None:
    for number in range(6):
        await fail(attempts, f"{account}-{number}", f"{net}::1", 1)
    assert await refused(attempts, f"{account}-new", f"{net}::1") == 60
    assert await refused(attempts, f"{account}-new", "192.0.2.2") == 0


async def test_an_account_waits_everywhere_after_many_failures(attempts: LoginAttempts, account: str, net: str) -> None:
    home = f"{net}::1"
    await attempts.succeeded(account, home)
    for number in range(8):
        await fail(attempts, account, f"198.51.100.{number}", 1)
    assert await refused(attempts, account, "203.0.113.9") == 600
    assert await refused(attempts, account, home) == 0  # from where it lately logged in, strangers do not lock it out


async def test_the_same_credentials_soon_after_count_once(
    attempts: LoginAttempts, clock: HeldClock, account: str, net: str
) -> None:
    for _ in range(10):
        await attempts.failed(account, f"{net}::1", "one and the same")
    assert await refused(attempts, account, f"{net}::1") == 0
    for _ in range(2):
        clock.advance(SAME_SECONDS)
        await attempts.failed(account, f"{net}::1", "one and the same")
    assert await refused(attempts, account, f"{net}::1") == 60 - 2 * SAME_SECONDS


async def test_a_success_forgets_the_failures_of_that_pair(attempts: LoginAttempts, account: str, net: str) -> None:
    await fail(attempts, account, f"{net}::1", 2)
    await attempts.succeeded(account, f"{net}::1")
    await fail(attempts, account, f"{net}::1", 2)
    assert await refused(attempts, account, f"{net}::1") == 0
    await fail(attempts, f"{account}-b", f"{net}::1", 2)  # six from that address: those before the success count there
    assert await refused(attempts, f"{account}-c", f"{net}::1") == 60


async def test_others_at_the_same_address_lock_nobody_out_who_is_known_there(
    attempts: LoginAttempts, account: str, net: str
) -> None:
    await attempts.succeeded(account, f"{net}::1")
    await fail(attempts, f"{account}-b", f"{net}::1", 6)
    assert await refused(attempts, f"{account}-c", f"{net}::1") == 60
    assert await refused(attempts, account, f"{net}::1") == 0
    await fail(attempts, account, f"{net}::1", 3)  # its own failures count as ever
    assert await refused(attempts, account, f"{net}::1") == 60


async def test_whether_there_is_something_to_forget_is_told(attempts: LoginAttempts, account: str, net: str) -> None:
    assert await attempts.check(account, f"{net}::1") is False
    await fail(attempts, account, f"{net}::1", 1)
    assert await attempts.check(account, f"{net}::1") is True
    assert await attempts.check(account, "192.0.2.1") is False
    await attempts.succeeded(account, f"{net}::1")
    assert await attempts.check(account, f"{net}::1") is False


async def test_without_an_account_the_address_alone_counts(attempts: LoginAttempts, account: str, net: str) -> None:
    await fail(attempts, "", f"{net}::1", 6)
    assert await refused(attempts, "", f"{net}::1") == 60
    assert await refused(attempts, account, f"{net}::1") == 60
    assert await refused(attempts, "", "192.0.2.1") == 0


async def test_all_workers_count_together(
    database: Database, elsewhere: Database, clock: HeldClock, account: str, net: str
) -> None:
    told: list[str] = []
    one = LoginAttempts(DatabaseCounters(database, clock), LIMITS, SECRET, clock, told.append)
    other = LoginAttempts(DatabaseCounters(elsewhere, clock), LIMITS, SECRET, clock, told.append)
    await one.failed(account, f"{net}::1", "first guess")
    await other.failed(account, f"{net}::1", "first guess")  # POST to one worker, GET to the other
    await other.failed(account, f"{net}::1", "second guess")
    assert await refused(one, account, f"{net}::1") == 0
    await one.failed(account, f"{net}::1", "third guess")
    assert await refused(other, account, f"{net}::1") == 60
    assert told == ["pair"]


async def test_nothing_of_an_attempt_is_kept_in_the_clear(
    attempts: LoginAttempts, facts: Facts, account: str, net: str
) -> None:
    await attempts.failed(account, f"{net}::1", "hunter2-hunter2")
    await attempts.succeeded(account, f"{net}::1")
    rows = await facts.read(lambda connection: connection.execute(select(limit_counters)).all())
    assert rows
    text = repr(rows)
    assert not any(word in text for word in ("hunter2", account, net))


async def test_in_memory_it_is_the_same(clock: HeldClock, account: str) -> None:
    attempts = LoginAttempts(LocalCounters(None, clock), LIMITS, SECRET, clock)
    await fail(attempts, account, "192.0.2.1", 3)
    assert await refused(attempts, account, "192.0.2.1") == 60
    assert await refused(attempts, account, "192.0.2.2") == 0
    clock.advance(60)
    await attempts.succeeded(account, "192.0.2.1")
    assert await refused(attempts, account, "192.0.2.1") == 0
