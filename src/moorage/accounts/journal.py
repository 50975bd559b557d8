"""What is written down about logins, beside the requests: audit entries, and when a credential was last used.

A login must not wait for the disk. So these are gathered and written together every second; a crash may lose the last
second of them. What changes something is written in the transaction of the change instead. Of refusals, which cost
nothing to whoever asks for them, equal ones are one entry a minute with a count (`moorage.accounts.gathering`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.accounts.gathering import Gathering
from moorage.core.audit import OK
from moorage.core.errors import RegistryError
from moorage.metadata.audit import record
from moorage.metadata.logins import mark_used
from moorage.metadata.projects import project_of
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from moorage.core.audit import AuditEntry
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

_log = logger("moorage.accounts")

WRITE_SECONDS = 1.0
BATCH = 500
"""Entries of one transaction."""

MOST_ENTRIES = 20_000
"""Entries that wait while the database does not answer; then the newest are dropped, and the log says how many."""

MOST_CREDENTIALS = 20_000
USED_SECONDS = 60.0
"""How often at most the last use of one credential is written."""


class Journal:
    """Gathers, and writes in the background.

    Args:
        database: where to.
        clock: for the times of entries.
        audit: whether there is an audit log; when a credential was used is noted in any case.
    """

    def __init__(self, database: Database, clock: Clock, *, audit: bool = True) -> None:
        self._audit = audit
        self._database = database
        self._clock = clock
        self._entries: deque[tuple[AuditEntry, float]] = deque()
        self._dropped = 0
        self._gathering = Gathering()
        self._lock = threading.Lock()
        self._used: dict[tuple[str, int], float] = {}
        self._written: OrderedDict[tuple[str, int], float] = OrderedDict()

    def note(self, entry: AuditEntry, *, gather: bool = False) -> None:
        """Have an entry written to the audit log within about a second. For any thread.

        Args:
            entry: one that names a repository and no project gets that of the name.
            gather: write equal ones of a minute as one, as it is done with all that are not `ok`.
        """
        if not self._audit:
            return
        now = self._clock.now()
        if gather or entry.outcome != OK:
            with self._lock:
                if not self._gathering.is_first(entry, now):
                    return
        self._append(entry, now)

    def _append(self, entry: AuditEntry, now: float) -> None:
        if len(self._entries) >= MOST_ENTRIES:
            self._dropped += 1
            return
        self._entries.append((entry, now))

    def used(self, kind: str, row: int) -> None:
        """Have it noted that a credential was used now: `pat`, `robot`, `refresh`, or `user` for a login."""
        key, now = (kind, row), self._clock.now()
        if now - self._written.get(key, 0.0) < USED_SECONDS:
            return
        if len(self._used) < MOST_CREDENTIALS:
            self._used[key] = now
            self._written[key] = now
            self._written.move_to_end(key)
            if len(self._written) > MOST_CREDENTIALS:
                self._written.popitem(last=False)

    async def run(self) -> None:
        """Write, sleep, until cancelled; what is left then is written by `flush`. A database that is down waits."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.flush()
            except RegistryError as error:
                _log.warning("audit entries wait for the database", error=str(error), waiting=len(self._entries))
            except Exception as error:  # noqa: BLE001 - one bad turn must not end all that follow
                _log.error("audit entries could not be written", **told_of(error))

    async def flush(self) -> None:
        """Write what was noted, and what was gathered in the minutes that are over."""
        await self._write(at_once=False)

    async def _write(self, *, at_once: bool) -> None:
        now = self._clock.now()
        with self._lock:
            over = self._gathering.over(now, at_once=at_once)
        for entry in over:
            self._append(entry, now)
        while self._entries or self._used:
            entries = [self._entries.popleft() for _ in range(min(BATCH, len(self._entries)))]
            used, self._used = self._used, {}
            try:
                await self._database.write(_change(entries, used))
            except BaseException:
                self._entries.extendleft(reversed(entries))
                self._used = used | self._used
                raise
        if self._dropped:
            _log.error("audit entries were dropped: the database did not take them in time", count=self._dropped)
            self._dropped = 0

    async def close(self) -> None:
        """Write the last entries, if the database answers; no minute is waited for."""
        with suppress(RegistryError):
            await self._write(at_once=True)


def _change(
    entries: list[tuple[AuditEntry, float]], used: dict[tuple[str, int], float]
) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        projects: dict[str, int] = {}
        for entry, at in entries:
            if entry.target_kind == "repository" and entry.target and entry.project_id is None:
                if entry.target not in projects:
                    projects[entry.target] = project_of(connection, entry.target)
                record(connection, replace(entry, project_id=projects[entry.target]), at)
            else:
                record(connection, entry, at)
        mark_used(connection, [(kind, row, at) for (kind, row), at in used.items()])

    return change
