"""What goes with a login in every mode: failures are counted, and the audit log gets to know of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.auth.addresses import customer
from moorage.auth.slow_checks import Remembered
from moorage.core.audit import FAILED, OK, REFUSED, AuditEntry
from moorage.core.errors import TooManyRequests

if TYPE_CHECKING:
    from moorage.accounts.journal import Journal
    from moorage.auth.ports import Attempts
    from moorage.core.access import Caller, Identity
    from moorage.core.clock import Clock

LOGIN_SECONDS = 600.0
"""How often at most the audit log gets a line for one credential from one address that goes on being used."""

TOO_MANY = "too many failures"


class NoAttempts:
    """`Attempts` that counts nothing."""

    async def check(self, account: str, address: str) -> bool:
        """Always."""
        return False

    async def failed(self, account: str, address: str, password: str) -> None:
        """Not counted."""

    async def succeeded(self, account: str, address: str) -> None:
        """Nothing to forget."""


class WatchedLogins:
    """An implementation of `moorage.auth.ports.LoginWatch`.

    Args:
        journal: where logins and refusals are noted.
        clock: for what was noted lately.
        attempts: counts failures; None: nobody does.
        patience: seconds for which the counters' leave holds where nothing failed here meanwhile, for credentials
            that come with every request; whoever fails in another worker has that much longer.
    """

    def __init__(
        self, journal: Journal, clock: Clock, attempts: Attempts | None = None, *, patience: float = 0.0
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._attempts: Attempts = NoAttempts() if attempts is None else attempts
        self._patience = patience
        self._noted = Remembered[tuple[str, str, str]](LOGIN_SECONDS)
        self._free = Remembered[tuple[str, str]](patience)

    async def admit(self, account: str, caller: Caller) -> bool:
        """See `LoginWatch.admit`."""
        now, pair = self._clock.now(), (account, customer(caller.address))
        if self._patience and self._free.has(pair, now):
            return False
        try:
            failed_before = await self._attempts.check(account, caller.address)
        except TooManyRequests:
            self.refused(caller, TOO_MANY)
            raise
        if self._patience and not failed_before:
            self._free.add(pair, now)
        return failed_before

    async def failed(self, account: str, caller: Caller, secret: str, reason: str) -> None:
        """See `LoginWatch.failed`."""
        self._free.drop((account, customer(caller.address)))
        self.refused(caller, reason)
        if not account:
            await self._attempts.check("", caller.address)
        await self._attempts.failed(account, caller.address, secret)

    async def passed(self, who: Identity, account: str, caller: Caller, *, forget: bool, always: bool = False) -> None:
        """See `LoginWatch.passed`."""
        news = self.seen(who, caller)
        if always and not news:
            self._note(who, caller)
        if account and (news or forget):
            await self._attempts.succeeded(account, caller.address)

    def seen(self, who: Identity, caller: Caller) -> bool:
        """See `LoginWatch.seen`: one line in LOGIN_SECONDS for each credential from each address."""
        key, now = (who.name, who.credential, caller.address), self._clock.now()
        if self._noted.has(key, now):
            return False
        self._noted.add(key, now)
        self._note(who, caller)
        return True

    def refused(self, caller: Caller, reason: str, *, failed: bool = False) -> None:
        """See `LoginWatch.refused`."""
        name = caller.identity.name.lower()
        outcome = FAILED if failed else REFUSED
        self._journal.note(AuditEntry("login", outcome, caller, "user", name, detail={"reason": reason}))

    def _note(self, who: Identity, caller: Caller) -> None:
        self._journal.note(AuditEntry("login", OK, replace(caller, identity=who), who.kind, who.name))
        if who.kind == "user" and who.id:
            self._journal.used("user", who.id)
