"""Small blobs become durable twice: at once with their facts, and soon after, many together, as files.

    put a file -> keep its bytes with the facts, durably -> answer -> ... -> settle the files -> let go of the bytes

What a loss of power takes from the files in between is put there again before the next start serves anything
(docs/adr/0015). Only where the facts are on this machine's disk: elsewhere another instance would serve meanwhile.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError, Unavailable
from moorage.metadata.unsynced import forget_unsynced, newest_unsynced, unsynced_after
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.blobs.ports import BlobStore
    from moorage.metadata.database import Database

_log = logger("moorage.settle")

PAUSE = 1.0
"""Seconds in which blobs gather for one sync."""

MOST = 2000
"""Blobs of one worker that wait for it; who comes then makes a durable file at once."""

STEP = 250
"""Rows in one read or write: at most 4 MiB."""


class Settling:
    """The blobs of a worker that wait for their sync.

    Args:
        database: the facts.
        blobs: the files.
        on: whether blobs may wait at all.
    """

    def __init__(self, database: Database, blobs: BlobStore, *, on: bool) -> None:
        self._database = database
        self._blobs = blobs
        self._on = on
        self._waiting = 0
        self._some = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether one more blob may wait."""
        return self._on and self._waiting < MOST

    def add(self) -> None:
        """One more waits: its bytes are kept."""
        self._waiting += 1
        self._some.set()

    async def run(self) -> None:
        """Settle whenever some wait, until cancelled. What fails is tried again."""
        while True:
            await self._some.wait()
            await asyncio.sleep(PAUSE)
            try:
                await self.settle()
            except RegistryError as error:
                _log.warning("settling put off", error=str(error))
            except Exception as error:  # noqa: BLE001 - one bad turn must not end all that follow
                _log.error("settling failed", **told_of(error))

    async def settle(self) -> None:
        """Make durable what waits, whichever worker's, and let go of the bytes.

        Raises:
            RegistryError: the database or the storage does not answer; everything is kept.
        """
        # Before the question, so that who comes meanwhile is waited for by the next turn.
        self._some.clear()
        waiting = self._waiting
        try:
            last = await self._database.read(newest_unsynced)
            if last:
                await self._sync(last)
                await self._forget(last)
        except BaseException:
            self._some.set()
            raise
        self._waiting -= waiting

    async def restore(self) -> None:
        """Put back what a loss of power may have taken; to be called before anything is served.

        Raises:
            RegistryError: the database or the storage does not answer.
        """
        last = await self._database.read(newest_unsynced)
        if last:
            await self._put_again(last, kept=True)
            await self.settle()

    async def _sync(self, last: int) -> None:
        try:
            await self._blobs.settle()
        except Unavailable as error:
            # It is said once, and to whom it is said must not ask again.
            _log.error("blobs could not be synced, and are written again", error=str(error.__cause__ or error))
            await self._put_again(last, kept=False)

    async def _put_again(self, last: int, *, kept: bool) -> None:
        after = 0
        while rows := await self._database.read(partial(unsynced_after, after=after, last=last, limit=STEP)):
            for _, digest, content in rows:
                await self._blobs.put(digest, content, kept=kept)
            after = rows[-1][0]

    async def _forget(self, last: int) -> None:
        forgotten = STEP
        while forgotten == STEP:
            forgotten = await self._database.write(partial(forget_unsynced, last=last, limit=STEP), durable=False)
