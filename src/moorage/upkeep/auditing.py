"""The work that comes round each second for the audit log and the limits, and what old entries of both are removed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from moorage.accounts.audit_seal import remove_old_entries, seal_entries
from moorage.core.errors import RegistryError
from moorage.metadata.audit_chain import has_unsealed
from moorage.metadata.limits import trim
from moorage.metadata.schedules import take_turn
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from moorage.accounts.settings import AuditSettings
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

_log = logger("moorage.upkeep")

TURN_SECONDS = 1.0
"""How often what was gathered is written, and entries are sealed: by whichever worker comes first."""

TRIM_SECONDS = 600.0
"""How often old entries and counters are removed."""

LOOK_SECONDS = 30.0
"""How often a worker looks whether they are to be removed."""

STEP = 500
"""Rows in one transaction."""


class AuditKeeper:
    """Runs for as long as the worker lives.

    Args:
        database: of the log.
        clock: tells what is old.
        settings: of the audit log.
        flushes: what each worker does for itself each second: pulls and counters that it gathered.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: AuditSettings,
        flushes: Sequence[Callable[[], Awaitable[object]]] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._flushes = flushes
        self._down = False
        self._looked_at = 0.0

    async def run(self) -> None:
        """Work, sleep, until cancelled. A database that is down is tried again, and said once."""
        while True:
            try:
                await self.turn()
                self._down = False
            except RegistryError as error:
                if not self._down:
                    _log.warning("the audit log waits for the database", error=str(error))
                self._down = True
            except Exception as error:  # noqa: BLE001 - one bad turn must not end all that follow
                _log.error("the care of the audit log failed", **told_of(error))
            await asyncio.sleep(TURN_SECONDS)

    async def turn(self) -> None:
        """Do what is due now."""
        for flush in self._flushes:
            await flush()
        # Read first: where nothing happens, nothing is written each second.
        waiting = self._settings.enabled and await self._database.read(has_unsealed)
        if waiting and await self._mine("seal-audit", TURN_SECONDS * 0.9):
            await seal_entries(self._database, self._clock)
        if abs(self._clock.now() - self._looked_at) >= LOOK_SECONDS:
            self._looked_at = self._clock.now()
            if await self._mine("trim-audit", TRIM_SECONDS):
                await self.trim()

    async def trim(self) -> None:
        """Remove counters whose time is over, and entries that are older than configured."""
        while await self._database.write(partial(trim, now=self._clock.now(), limit=STEP)) == STEP:
            pass
        if self._settings.keep_seconds:
            removed = await remove_old_entries(self._database, self._clock, self._settings.keep_seconds)
            if removed:
                _log.info("old audit entries removed", count=removed)

    async def close(self) -> None:
        """Write what was gathered last, if the database answers."""
        for flush in self._flushes:
            with suppress(RegistryError):
                await flush()

    async def _mine(self, work: str, interval: float) -> bool:
        now = self._clock.now()
        return await self._database.write(partial(take_turn, name=work, now=now, interval=interval), durable=False)
