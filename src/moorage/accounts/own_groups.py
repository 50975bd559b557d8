"""Which groups somebody is in: shown to the person itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from moorage.metadata.tables_access import group_members, groups

if TYPE_CHECKING:
    from moorage.core.access import Identity
    from moorage.metadata.database import Database

MOST = 1000
"""Groups that are told."""


class OwnGroups:
    """Reads memberships."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def names(self, identity: Identity) -> list[str]:
        """The names of a user's groups, in order; none for everybody else."""
        if identity.kind != "user" or not identity.id:
            return []
        statement = (
            select(groups.c.name)
            .join(group_members, group_members.c.group_id == groups.c.id)
            .where(group_members.c.user_id == identity.id)
            .order_by(groups.c.name)
            .limit(MOST)
        )
        return await self._database.read(lambda connection: list(connection.scalars(statement)))
