"""Small blobs are durable in the database first, and soon after, many together, as files.

    keep their bytes with the facts, durably -> answer -> ... -> make the files, sync them all -> let go of the bytes

Whoever reads such a blob meanwhile is given what the facts keep (docs/adr/0018). Only where the facts are on this
machine's disk, as the files are.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError, Unavailable
from moorage.metadata.unsynced import forget_unsynced, newest_unsynced, unsynced_after
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.blobs.ports import BlobStore
    from moorage.core.digest import Digest
    from moorage.metadata.database import Database

_log = logger("moorage.settle")

PAUSE = 1.0
"""Seconds in which blobs gather for one sync."""

MOST = 2000
"""Blobs of one worker that wait for it; who comes then makes a durable file at once."""

MOST_BYTES = 8 * 1024 * 1024
"""Of these blobs: they are in memory, too."""

STEP = 250
"""Rows in one read or write: at most 4 MiB."""

SWEEP = 60.0
"""Seconds after which a worker looks for rows that nobody else settles: of one that died, or of a request that ended
before it knew that its facts were written."""


class Settling:
    """The blobs of a worker that wait for their files.

    Args:
        database: the facts.
        blobs: the files.
        on: whether blobs may wait at all.
    """

    def __init__(self, database: Database, blobs: BlobStore, *, on: bool) -> None:
        self._database = database
        self._blobs = blobs
        self._on = on
        self._waiting: list[tuple[Digest, bytes]] = []
        self._size = 0
        self._some = asyncio.Event()
        self._works = True

    @property
    def has_room(self) -> bool:
        """Whether one more blob may wait: not where the storage takes none, so that who pushes is told of that."""
        return self._on and self._works and len(self._waiting) < MOST and self._size < MOST_BYTES

    def trust(self) -> None:
        """The storage takes blobs: one was stored without waiting."""
        self._works = True

    def add(self, digest: Digest, content: bytes) -> None:
        """One more waits: its bytes are kept."""
        self._waiting.append((digest, content))
        self._size += len(content)
        self._some.set()

    async def run(self) -> None:
        """Settle whenever some wait, and now and then what others have left, until cancelled.

        What fails is tried again.
        """
        due = 0.0
        seen: int | None = None
        while True:
            try:
                if time.monotonic() >= due:
                    # Whatever comes of it: what others have left must not be in the way of one's own.
                    due = time.monotonic() + SWEEP
                    before, seen = seen, await self._database.read(newest_unsynced)
                    await self.sweep(before)
                else:
                    await self.settle()
            except RegistryError as error:
                _log.warning("settling put off", error=str(error))
            except Exception as error:  # noqa: BLE001 - one bad turn must not end all that follow
                _log.error("settling failed", **told_of(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await self._some.wait()
            await asyncio.sleep(PAUSE)

    async def settle(self) -> None:
        """Store what waits, and let go of the bytes.

        Raises:
            RegistryError: the database or the storage does not answer; what is not stored is kept.
        """
        self._some.clear()
        mine = self._waiting.copy()
        if not mine:
            return
        try:
            failed = await self._store(mine, await self._database.read(newest_unsynced))
        except BaseException:
            self._works = False
            self._some.set()
            raise
        self._works = len(failed) < len(mine)
        self._waiting[: len(mine)] = [blob for blob in mine if blob[0] in failed]
        self._size = sum(len(content) for _, content in self._waiting)
        if failed:
            self._some.set()
            raise _refusal(failed)

    async def sweep(self, last: int | None = None) -> None:
        """Store all that the facts keep, whosever it is.

        Args:
            last: up to this number; all where it is None. Later ones are stored by whoever took them, in a moment: of
                two that do so one would write files again.

        Raises:
            RegistryError: the database or the storage does not answer; what is not stored is kept.
        """
        failed: dict[Digest, OSError] = {}
        last = await self._database.read(newest_unsynced) if last is None else last
        after = 0
        while rows := await self._database.read(partial(unsynced_after, after=after, last=last, limit=STEP)):
            failed |= await self._store([(digest, content) for _, digest, content in rows], last, left=True)
            after = rows[-1][0]
        if failed:
            raise _refusal(failed)

    async def _store(
        self, blobs: list[tuple[Digest, bytes]], last: int, *, left: bool = False
    ) -> dict[Digest, OSError]:
        """Make them durable, then forget what was kept of them up to the number `last`.

        One that is kept anew meanwhile has a later number: its file may have been deleted after our sync.

        Returns:
            Those that could not be stored, and why.
        """
        failed: dict[Digest, OSError] = {}
        try:
            failed = await self._blobs.settle(blobs, left=left)
        except Unavailable as error:
            # It is said once that a sync failed, and to whom it is said must not ask again.
            _log.error("blobs could not be synced, and are written again", error=str(error.__cause__ or error))
            for digest, content in blobs:
                await self._blobs.put(digest, content)
        stored = [digest for digest, _ in blobs if digest not in failed]
        for start in range(0, len(stored), STEP):
            some = stored[start : start + STEP]
            await self._database.write(partial(forget_unsynced, digests=some, last=last), durable=False)
        return failed


def _refusal(failed: dict[Digest, OSError]) -> Unavailable:
    digest, error = next(iter(failed.items()))
    return Unavailable(f"{len(failed)} blobs cannot be stored, among them {digest}: {error}")
