"""The small work that comes round: abandoned uploads are purged, the outbox is trimmed.

Every worker of every instance asks the database whose turn it is; one wins, and a step that a crash cuts off is done
next time.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError, StorageFull
from moorage.metadata.events import trim
from moorage.metadata.schedules import take_turn
from moorage.metadata.uploads import open_uploads, remove_stale_upload, stale_uploads
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.blobs.ports import UploadStore
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database
    from moorage.upkeep.settings import EventSettings, UploadPurgeSettings

_log = logger("moorage.upkeep")

STEP = 200
"""Rows or files in one step, so that no transaction and no list is long."""

LOOK_SECONDS = 30.0
"""How often a worker looks whether something is due."""

TRIM_SECONDS = 3600.0


class Sweeper:
    """Runs what is due, for as long as the worker lives."""

    def __init__(
        self,
        database: Database,
        uploads: UploadStore,
        purge: UploadPurgeSettings,
        events: EventSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._uploads = uploads
        self._purge = purge
        self._events = events
        self._clock = clock

    async def run(self) -> None:
        """Look, work, sleep, until cancelled. A database that is down is tried again."""
        while True:
            try:
                await self.turn()
            except RegistryError as error:
                _log.warning("upkeep put off", error=str(error))
            except Exception as error:  # noqa: BLE001 - one bad turn must not end all that follow
                _log.error("upkeep failed", **told_of(error))
            await asyncio.sleep(min(LOOK_SECONDS, self._purge.interval_seconds))

    async def turn(self) -> None:
        """Do what is due now."""
        if self._purge.enabled and await self._mine("purge-uploads", self._purge.interval_seconds):
            await self.purge_uploads()
        if await self._mine("trim-events", min(TRIM_SECONDS, self._events.keep_seconds)):
            await self.trim_events()

    async def purge_uploads(self) -> int:
        """Forget upload sessions that nothing was written to for the configured time; returns how many."""
        before = self._clock.now() - self._purge.age_seconds
        purged = 0
        after = (0.0, "")
        while stale := await self._database.read(partial(stale_uploads, before=before, after=after, limit=STEP)):
            for _, key in stale:
                purged += await self._purge_one(key, before)
            after = stale[-1]
        purged += await self._purge_orphans(before)
        if purged:
            _log.info("abandoned uploads purged", count=purged, dryrun=self._purge.dryrun)
        return purged

    async def trim_events(self) -> int:
        """Remove events that are older than configured; returns how many."""
        before = self._clock.now() - self._events.keep_seconds
        trimmed = 0
        while removed := await self._database.write(lambda connection: trim(connection, before, STEP)):
            trimmed += removed
        return trimmed

    async def _purge_one(self, key: str, before: float) -> bool:
        if self._purge.dryrun:
            _log.info("abandoned upload would be purged", upload=key)
            return True

        def remove(connection: Connection) -> bool:
            return remove_stale_upload(connection, key, before)

        # Facts first: a client that comes back in this moment finds no session, never one without its bytes.
        try:
            removed = await self._database.write(remove)
        except StorageFull:
            await self._uploads.drop(key)  # these may be the bytes that it has no room for
            return await self._database.write(remove)
        if removed:
            await self._uploads.drop(key)
        return removed

    async def _purge_orphans(self, before: float) -> int:
        """Bytes whose session is gone: a crash between the two steps, or a write that overtook a cancel.

        Those of a session that is there stay, however old they look: the facts are younger than the last byte.
        """
        if self._purge.dryrun:
            return 0
        count = 0
        alive: set[str] = set()
        while keys := set(await self._uploads.stale(before, STEP + len(alive))) - alive:
            orphans = keys - await self._database.read(partial(open_uploads, keys=keys))
            alive |= keys - orphans
            for key in orphans:
                await self._uploads.drop(key)
            count += len(orphans)
        return count

    async def _mine(self, work: str, interval: float) -> bool:
        now = self._clock.now()
        return await self._database.write(lambda connection: take_turn(connection, work, now, interval))
