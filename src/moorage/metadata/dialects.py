"""The one statement that both databases have and SQLAlchemy's common language does not: INSERT ... ON CONFLICT."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


def insert(connection: Connection, table: Table) -> Insert:
    """An INSERT that can say `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name == "postgresql":
        return cast("Insert", postgres_insert(table))
    return sqlite_insert(table)
