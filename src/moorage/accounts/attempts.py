"""Failed logins are counted, so that nobody tries passwords all day; an implementation of `auth.ports.Attempts`.

Three counters, because each alone can be got round or turned against somebody:

- one account from one address: stops whoever guesses, and locks out nobody at another address;
- one address, whatever the account: stops whoever tries one password with many names;
- one account from everywhere, far higher: stops whoever has many addresses.

With the last two a stranger could lock somebody out, from far away or behind the same address. So an account is exempt
from both at an address from which it logged in within 30 days; there the first one stands.

Nothing here knows which accounts exist, so unknown ones behave in the same way.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from typing import TYPE_CHECKING

from limits import RateLimitItemPerSecond

from moorage.auth.addresses import customer
from moorage.core.errors import TooManyRequests
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from limits.aio.storage import Storage

    from moorage.accounts.settings import LoginLimits, Rate
    from moorage.core.clock import Clock

_log = logger(__name__)

SAME_SECONDS = 10
"""containerd asks for a token by POST, then by GET with the same credentials: within this time that is one failure."""

KNOWN_SECONDS = 30 * 86_400
"""How long an address stays one from which the account is known to log in."""

_RENEW_SECONDS = 86_400


class LoginAttempts:
    """Counts failed logins.

    Args:
        counters: where; shared by all workers, or the limits count for each of them alone.
        limits: how many are too many.
        secret: the same for all who share the counters; names, addresses and passwords are kept as HMACs under it only.
        clock: the counters' own.
        blocked: told `pair`, `address` or `account` when a limit is reached, for the counters of `/metrics`.
    """

    def __init__(
        self,
        counters: Storage,
        limits: LoginLimits,
        secret: bytes,
        clock: Clock,
        blocked: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._counters = counters
        self._key = hmac.digest(secret, b"failed logins", "sha256")
        self._clock = clock
        self._blocked = blocked
        self._pair = _item(limits.pair)
        self._address = _item(limits.address)
        self._account = _item(limits.account)

    async def check(self, account: str, address: str) -> bool:
        """See `Attempts.check`.

        Raises:
            TooManyRequests: there were too many failures, of the account from there, from there, or of the account.
            Unavailable: the counters cannot be read.
        """
        pair = self._name(account, customer(address))
        failures = 0
        for kind, item, name in self._hits(account, address):
            key = item.key_for(kind, name)
            count = await self._counters.get(key)
            if kind == "pair":
                failures = count
            if count < item.amount:
                continue
            if kind != "pair" and account and await self._counters.get(f"login/known/{pair}"):
                continue
            wait = max(1, math.ceil(await self._counters.get_expiry(key) - self._clock.now()))
            raise TooManyRequests(f"Too many failed logins; try again in {wait} seconds.", wait)
        return failures > 0

    async def failed(self, account: str, address: str, password: str) -> None:
        """Count a failure, once for the same credentials from the same address within ten seconds.

        Raises:
            Unavailable: the counters cannot be written.
        """
        same = f"login/same/{self._name(account, customer(address), password)}"
        if await self._counters.incr(same, SAME_SECONDS) > 1:
            return
        hits = self._hits(account, address)
        counts = await asyncio.gather(
            *(self._counters.incr(item.key_for(kind, name), item.get_expiry()) for kind, item, name in hits)
        )
        for (kind, item, _), count in zip(hits, counts, strict=True):
            if count == item.amount:
                _log.warning("too many failed logins", counted=kind, address=address, limit=str(item))
                self._blocked(kind)

    async def succeeded(self, account: str, address: str) -> None:
        """Forget the account's failures from that address, and remember the address as one of its own.

        Raises:
            Unavailable: the counters cannot be written.
        """
        name = self._name(account, customer(address))
        failures = self._pair.key_for("pair", name)
        if await self._counters.get(failures):
            await self._counters.clear(failures)
        known = f"login/known/{name}"
        if await self._counters.get_expiry(known) < self._clock.now() + KNOWN_SECONDS - _RENEW_SECONDS:
            await self._counters.clear(known)
            await self._counters.incr(known, KNOWN_SECONDS)

    def _hits(self, account: str, address: str) -> list[tuple[str, RateLimitItemPerSecond, str]]:
        """The counters: of which kind, what they allow, what is counted."""
        where = customer(address)
        of_address = ("address", self._address, self._name("", where))
        if not account:
            return [of_address]
        of_pair, of_account = self._name(account, where), self._name(account, "")
        return [("pair", self._pair, of_pair), of_address, ("account", self._account, of_account)]

    def _name(self, account: str, where: str, password: str = "") -> str:
        # A length before each part, so that no two different triples give the same bytes.
        parts = (account.casefold(), where, password)
        text = b"".join(b"%d:%b" % (len(part), part.encode("utf-8", "surrogatepass")) for part in parts)
        return hmac.digest(self._key, text, "sha256").hex()[:32]


def _item(rate: Rate) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rate.count, rate.seconds, "login")
