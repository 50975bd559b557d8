"""How often somebody may ask, and pull: counted for each user or robot, and for each address without credentials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limits import RateLimitItemPerSecond
from limits.aio.strategies import FixedWindowRateLimiter

from moorage.auth.addresses import customer

if TYPE_CHECKING:
    from moorage.accounts.counters import LocalCounters
    from moorage.accounts.settings import Rate, Rates
    from moorage.core.access import Identity
    from moorage.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands with a limit.

    Attributes:
        limit, seconds: the limit.
        remaining: how often more before its window ends; 0 too where it was exceeded.
        wait: whole seconds until the window ends, at least 1.
        source: who is counted: a name, or an address (IPv6: its network of 64 bits).
        exceeded: whether this time was too much.
    """

    limit: int
    seconds: int
    remaining: int
    wait: int
    source: str
    exceeded: bool


class RateLimit:
    """One limit with its rates.

    Args:
        kind: what is counted, to tell the counters of several limits apart.
        rates: how often.
        counters: where.
        clock: the counters' own.
    """

    def __init__(self, kind: str, rates: Rates, counters: LocalCounters, clock: Clock) -> None:
        self._limiter = FixedWindowRateLimiter(counters)
        self._clock = clock
        self._anonymous = _item(kind, rates.anonymous)
        self._authenticated = _item(kind, rates.authenticated)
        self._named = {name: _item(kind, rate) for name, rate in rates.named.items()}

    async def hit(self, identity: Identity, address: str) -> Standing | None:
        """Count once; None for whom there is no limit."""
        return await self._standing(identity, address, 1)

    async def look(self, identity: Identity, address: str) -> Standing | None:
        """How somebody stands, without counting."""
        return await self._standing(identity, address, 0)

    async def take_back(self, identity: Identity, address: str) -> None:
        """Count one less: what was counted came to nothing."""
        await self._standing(identity, address, -1)

    async def _standing(self, identity: Identity, address: str, cost: int) -> Standing | None:
        if identity.kind == "anonymous":
            item, source = self._anonymous, customer(address)
        else:
            item, source = self._named.get(identity.name, self._authenticated), identity.name
        if item is None:
            return None
        key = item.key_for(identity.kind, source)
        storage = self._limiter.storage
        fits = await self._limiter.hit(item, identity.kind, source, cost=cost) if cost else True
        if not fits:
            # What was refused does not count: who asks on and on is served as soon as the window ends.
            await self._limiter.hit(item, identity.kind, source, cost=-1)
        remaining = max(0, item.amount - await storage.get(key))
        wait = max(1, math.ceil(await storage.get_expiry(key) - self._clock.now()))
        return Standing(item.amount, item.get_expiry(), remaining, wait, source, not fits)


def _item(kind: str, rate: Rate | None) -> RateLimitItemPerSecond | None:
    return RateLimitItemPerSecond(rate.count, rate.seconds, kind) if rate is not None else None
