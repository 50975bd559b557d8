"""The care of the audit log: entries are chained by hashes soon after they were written, and old ones go."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from moorage.metadata.audit_chain import cut, seal

if TYPE_CHECKING:
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

STEP = 500
"""Entries in one transaction."""

MOST_STEPS = 20
"""Transactions in one turn, so that a turn ends soon; what is left is done in the next one."""


async def seal_entries(database: Database, clock: Clock) -> int:
    """Give the entries that have none their place in the chain, in the order of their ids; returns how many.

    Several workers may do that at the same time: each waits for the one before and goes on where that ended. On
    PostgreSQL a transaction that took an id early and was committed late comes later in the chain than its id says.
    """
    sealed = 0
    for _ in range(MOST_STEPS):
        now = clock.now()
        count = await database.write(partial(seal, now=now, limit=STEP))
        sealed += count
        if count < STEP:
            break
    return sealed


async def remove_old_entries(database: Database, clock: Clock, keep_seconds: float) -> int:
    """Remove what is older than `keep_seconds` from the beginning of the chain; returns how many.

    An anchor stays in its place, so that the rest verifies; each step's removal is in the log itself.
    """
    before = clock.now() - keep_seconds
    removed = 0
    for _ in range(MOST_STEPS):
        count = await database.write(partial(cut, before=before, limit=STEP, now=clock.now()))
        removed += count
        if count < STEP:
            break
    return removed
