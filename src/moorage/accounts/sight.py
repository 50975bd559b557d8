"""What an identity gets to see: the port `moorage.auth.ports.Sight` over the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.accounts.visibility import visible_repositories, visible_source

if TYPE_CHECKING:
    from moorage.core.access import Identity
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database


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
        """See `Sight.source`."""
        now = self._clock.now()
        return await self._database.read(lambda connection: visible_source(connection, identity, digest, now))
