"""What hangs on a user, a group or a robot without a foreign key, because one column names all three."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from moorage.metadata.tables_access import grants

if TYPE_CHECKING:
    from sqlalchemy import Connection


def remove_grants_of(connection: Connection, kind: str, row: int) -> int:
    """Remove all grants of a principal (`user`, `group` or `robot`); how many."""
    where = (grants.c.principal_kind == kind, grants.c.principal_id == row)
    return connection.execute(delete(grants).where(*where)).rowcount
