"""Queries about groups and who is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from moorage.metadata.pages import Page, in_page, insert_new
from moorage.metadata.tables_access import group_members, groups, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COLUMNS = (
    groups.c.id,
    groups.c.name,
    groups.c.description,
    groups.c.source,
    groups.c.created_at,
    groups.c.version,
)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users.

    Attributes:
        source: `local`, or the directory or provider that says who is in it.
        created_at: seconds since 1970.
        version: counts up with every change of the group itself, not of its members.
    """

    id: int
    name: str
    description: str
    source: str
    created_at: float
    version: int


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a group, and who put the user there."""

    id: int
    name: str
    source: str


def find_group(connection: Connection, row: int, *, hold: bool = False) -> Group | None:
    """A group by id; with `hold` nobody else changes it until the transaction ends."""
    statement = select(*_COLUMNS).where(groups.c.id == row)
    found = connection.execute(statement.with_for_update() if hold else statement).first()
    return Group(*found) if found is not None else None


def find_group_by_name(connection: Connection, name: str) -> Group | None:
    """A group by name."""
    found = connection.execute(select(*_COLUMNS).where(groups.c.name == name)).first()
    return Group(*found) if found is not None else None


def list_groups(connection: Connection, page: Page) -> list[Group]:
    """Groups in the order of their names."""
    return [Group(*row) for row in connection.execute(in_page(select(*_COLUMNS), groups.c.name, page))]


def add_group(connection: Connection, name: str, description: str, source: str, now: float) -> int | None:
    """Make a group and return its id; None where the name is taken."""
    values = {"name": name, "description": description, "source": source, "created_at": now, "version": 1}
    return insert_new(connection, groups, values, groups.c.id)


def describe_group(connection: Connection, row: int, description: str) -> None:
    """Say something else about a group. Its name stays: a directory and people's grants know it by that."""
    change = {"description": description, "version": groups.c.version + 1}
    connection.execute(update(groups).where(groups.c.id == row).values(change))


def remove_group(connection: Connection, row: int) -> None:
    """Remove a group with its memberships; not its grants."""
    connection.execute(delete(groups).where(groups.c.id == row))


def list_members(connection: Connection, row: int, after: int, limit: int) -> list[Member]:
    """Members of a group in the order of their ids, from behind `after`."""
    statement = (
        select(users.c.id, users.c.name, group_members.c.source)
        .select_from(group_members)
        .join(users, users.c.id == group_members.c.user_id)
        .where(group_members.c.group_id == row, group_members.c.user_id > after)
        .order_by(group_members.c.user_id)
        .limit(limit)
    )
    return [Member(*found) for found in connection.execute(statement)]


def add_member(connection: Connection, row: int, user_id: int, source: str) -> bool:
    """Put a user into a group; False for one who is in it already, and then who said so stays as it was."""
    values = {"group_id": row, "user_id": user_id, "source": source}
    return insert_new(connection, group_members, values, group_members.c.user_id) is not None


def remove_member(connection: Connection, row: int, user_id: int) -> bool:
    """Take a user out of a group; False for one who was not in it."""
    where = (group_members.c.group_id == row, group_members.c.user_id == user_id)
    return connection.execute(delete(group_members).where(*where)).rowcount > 0
