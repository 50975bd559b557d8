"""Lists in pages: from behind the last one that was seen, along an index; never counted off from the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.metadata.dialects import insert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection, Select, Table

_LAST = "\U0010ffff"
"""Behind every other character in byte order."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list of names is asked for.

    Attributes:
        after: the last name of the page before; empty for the first page.
        limit: rows at most.
        prefix: only names that begin with this.
    """

    after: str = ""
    limit: int = 100
    prefix: str = ""


def in_page(statement: Select[Any], name: ColumnElement[Any], page: Page) -> Select[Any]:
    """The statement with the page's conditions on the column `name`, which it is ordered by."""
    statement = statement.where(name >= page.prefix if page.prefix > page.after else name > page.after)
    if page.prefix:
        statement = statement.where(name <= page.prefix + _LAST)
    return statement.order_by(name).limit(page.limit)


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any], key: ColumnElement[Any]) -> int | None:
    """Insert a row and return its `key`; None where a unique constraint has one like it already."""
    statement = insert(connection, table).values(values).on_conflict_do_nothing().returning(key)
    found = connection.execute(statement).scalar()
    return int(found) if found is not None else None
