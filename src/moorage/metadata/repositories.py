"""Queries about repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import repositories

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FIND = Prepared(lambda _: select(repositories.c.id).where(repositories.c.name == bindparam("name_")), "name_")
_ADD = Prepared(
    lambda insert: (
        insert(repositories)
        .values(name=bindparam("name_"), created_at=bindparam("now_"))
        .on_conflict_do_nothing(index_elements=["name"])
    ),
    "name_",
    "now_",
)


def find_repository(connection: Connection, name: str) -> int | None:
    """The id of a repository, or None where nothing was ever pushed to that name."""
    found = _FIND.row(connection, name)
    return int(found[0]) if found is not None else None


def ensure_repository(connection: Connection, name: str, now: float) -> int:
    """The id of a repository, made where it is not there yet; 16 first pushes at once all get the same one."""
    found = find_repository(connection, name)
    if found is None:
        _ADD.count(connection, name, now)
        found = find_repository(connection, name)
    if found is None:
        raise LookupError(name)
    return found


def list_repositories(connection: Connection, after: str, limit: int) -> list[str]:
    """Up to `limit` names after `after`, in byte order."""
    statement = select(repositories.c.name).where(repositories.c.name > after)
    return list(connection.scalars(statement.order_by(repositories.c.name).limit(limit)))
