"""What an identity gets to see: the port `moorage.auth.ports.Sight` over the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.accounts.decision import decide
from moorage.accounts.visibility import visible_repositories
from moorage.core.access import PULL
from moorage.metadata.blobs import sources

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.access import Identity
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

MOST_SOURCES = 16
"""Repositories of a blob that are looked at for a mount that names none; a base layer is in thousands."""


class DatabaseSight:
    """See `moorage.auth.ports.Sight`.

    Args:
        database: repositories, projects, grants.
        clock: what has expired.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def repositories(self, identity: Identity, after: str, limit: int) -> list[str]:
        """See `Sight.repositories`."""
        now = self._clock.now()
        return await self._database.read(
            lambda connection: visible_repositories(connection, identity, after, limit, now)
        )

    async def source(self, identity: Identity, digest: str) -> str | None:
        """See `Sight.source`. Of the repositories of a blob, `MOST_SOURCES` are looked at."""
        now = self._clock.now()

        def query(connection: Connection) -> str | None:
            names = sources(connection, digest, MOST_SOURCES)
            return next((name for name in names if PULL in decide(connection, identity, name, now).actions), None)

        return await self._database.read(query)
