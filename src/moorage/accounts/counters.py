"""Storage for the strategies of the library `limits`: in the database, or here and brought together now and then.

Counters are fixed windows that begin with the first thing counted.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from limits.aio.storage import Storage

from moorage.metadata.limits import VALUE, add, forget, forget_all

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

MOST = 50_000
"""Counters that a worker keeps in memory; the one that was not needed for longest goes first."""

STEP = 500
"""Counters in one transaction."""


class DatabaseCounters(Storage):
    """Counters that every worker and instance sees at once; each count is a write."""

    STORAGE_SCHEME = ["moorage+database"]  # noqa: RUF012 - the library's own form

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__()
        self._database = database
        self._clock = clock

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """None: what the database raises has its meaning already."""
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and return what the counter stands at."""
        now = self._clock.now()
        count, _ = await self._database.write(lambda one: add(one, key, amount, now, expiry), durable=False)
        return count

    async def get(self, key: str) -> int:
        """What the counter stands at."""
        count, _ = await _stored(self._database, key, self._clock.now())
        return count

    async def get_expiry(self, key: str) -> float:
        """When the counter ends; now, where nothing is counted."""
        now = self._clock.now()
        _, ends_at = await _stored(self._database, key, now)
        return ends_at or now

    async def clear(self, key: str) -> None:
        """Forget what was counted."""
        await self._database.write(lambda one: forget(one, key), durable=False)

    async def reset(self) -> int | None:
        """Forget everything that was counted; returns how many counters that were."""
        return await self._database.write(forget_all, durable=False)

    async def check(self) -> bool:
        """Whether counting is possible."""
        await self._database.lookup(VALUE, "")
        return True


class _Counter:
    __slots__ = ("count", "ends_at")

    def __init__(self, count: int, ends_at: float) -> None:
        self.count = count
        self.ends_at = ends_at


class LocalCounters(Storage):
    """Counters of this worker, brought together with those of all others by `reconcile`.

    Between two reconciliations a worker does not know what the others count: a limit may be exceeded by what they let
    through in that time. A counter that is seen for the first time is looked up once; nothing is ever written on the
    way of a request. At a crash, what was counted since the last reconciliation is forgotten.

    Args:
        database: what the workers share; None: each counts for itself.
        clock: tells when a counter's time is over.
    """

    STORAGE_SCHEME = ["moorage+local"]  # noqa: RUF012 - the library's own form

    def __init__(self, database: Database | None, clock: Clock) -> None:
        super().__init__()
        self._database = database
        self._clock = clock
        self._counters: OrderedDict[str, _Counter] = OrderedDict()
        self._untold: dict[str, tuple[int, int]] = {}

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """None: what the database raises has its meaning already."""
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and return what the counter stands at as far as this worker knows."""
        counter = await self._find(key, expiry)
        counter.count = max(counter.count + amount, 0)
        if self._database is not None:
            before = self._untold.get(key, (0, 0))[0]
            if before or len(self._untold) < MOST:
                self._untold[key] = (before + amount, expiry)
        return counter.count

    async def get(self, key: str) -> int:
        """What the counter stands at as far as this worker knows."""
        return (await self._find(key, 0)).count

    async def get_expiry(self, key: str) -> float:
        """When the counter ends; now, where nothing is counted."""
        return (await self._find(key, 0)).ends_at

    async def clear(self, key: str) -> None:
        """Forget what was counted, here and for all."""
        self._counters.pop(key, None)
        self._untold.pop(key, None)
        if self._database is not None:
            await self._database.write(lambda one: forget(one, key), durable=False)

    async def reset(self) -> int | None:
        """Forget everything that was counted; returns how many counters that were."""
        known = len(self._counters)
        self._counters.clear()
        self._untold.clear()
        return known if self._database is None else await self._database.write(forget_all, durable=False)

    async def check(self) -> bool:
        """Whether counting is possible: always."""
        return True

    async def reconcile(self) -> None:
        """Tell the database what was counted here, and learn what all counted; not for two at a time.

        Raises:
            Unavailable: it does not answer; what was counted is told the next time.
        """
        if self._database is None or not self._untold:
            return
        untold, self._untold = self._untold, {}
        waiting = sorted(untold)  # one order for all, so that no two wait for each other
        while waiting:
            some = {key: untold[key] for key in waiting[:STEP]}
            now = self._clock.now()
            try:
                totals = await self._database.write(partial(_tell, amounts=some, now=now), durable=False)
            except BaseException:
                for key in waiting:
                    amount, expiry = untold[key]
                    self._untold[key] = (self._untold.get(key, (0, 0))[0] + amount, expiry)
                raise
            for key, (count, ends_at) in totals.items():
                if key in self._counters:
                    meanwhile = self._untold.get(key, (0, 0))[0]
                    self._counters[key] = _Counter(count + meanwhile, ends_at)
            waiting = waiting[STEP:]

    async def _find(self, key: str, expiry: int) -> _Counter:
        """The counter. One that is new, or whose time is over, ends `expiry` seconds from now."""
        now = self._clock.now()
        counter = self._counters.get(key)
        if counter is not None and counter.ends_at > now:
            self._counters.move_to_end(key)
            return counter
        count, ends_at = 0, 0.0
        if counter is None and self._database is not None:
            count, ends_at = await _stored(self._database, key, now)
            meanwhile = self._counters.get(key)
            if meanwhile is not None:
                return meanwhile
        counter = _Counter(count, ends_at or now + expiry)
        if ends_at or expiry:
            self._counters[key] = counter
            self._counters.move_to_end(key)
            if len(self._counters) > MOST:
                self._counters.popitem(last=False)
        return counter


async def _stored(database: Database, key: str, now: float) -> tuple[int, float]:
    """What is counted and until when; 0 and 0 where nothing is."""
    row = await database.lookup(VALUE, key)
    if row is None or float(str(row[1])) <= now:
        return 0, 0.0
    return int(str(row[0])), float(str(row[1]))


def _tell(connection: Connection, amounts: dict[str, tuple[int, int]], now: float) -> dict[str, tuple[int, float]]:
    return {key: add(connection, key, amount, now, expiry) for key, (amount, expiry) in amounts.items()}
