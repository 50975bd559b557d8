"""Queries about users that a directory or an OIDC provider vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from moorage.metadata.groups import add_group
from moorage.metadata.tables_access import group_members, groups, users

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_STEP = 500
"""Values of one IN."""


@dataclass(frozen=True, slots=True)
class ArrivedUser:
    """A user as a source knows it."""

    id: int
    name: str
    email: str
    admin: bool
    disabled: bool
    epoch: int


def arrived_user(connection: Connection, source: str, subject: str) -> ArrivedUser | None:
    """The user that a source calls `subject`, whatever its name."""
    columns = (users.c.id, users.c.name, users.c.email, users.c.admin, users.c.disabled, users.c.epoch)
    row = connection.execute(select(*columns).where(users.c.source == source, users.c.subject == subject)).first()
    return None if row is None else ArrivedUser(*row)


def name_is_taken(connection: Connection, name: str) -> bool:
    """Whether any user has that name."""
    return connection.execute(select(users.c.id).where(users.c.name == name)).first() is not None


def add_arrived_user(
    connection: Connection, name: str, email: str, source: str, subject: str, now: float, *, admin: bool
) -> int:
    """A new user without a password of ours; gives the id."""
    row = {
        "name": name,
        "email": email,
        "password": None,
        "admin": admin,
        "disabled": False,
        "source": source,
        "subject": subject,
        "epoch": 0,
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
    return int(connection.execute(insert(users).values(row).returning(users.c.id)).scalar_one())


def change_arrived_user(connection: Connection, row: int, email: str, now: float, *, admin: bool) -> None:
    """What the source says of an account that is here already."""
    changed = {"email": email, "admin": admin, "updated_at": now, "version": users.c.version + 1}
    connection.execute(update(users).where(users.c.id == row).values(changed))


def memberships(connection: Connection, user_id: int, source: str) -> set[str]:
    """The names of the groups that a source has put a user in."""
    found = (
        select(groups.c.name)
        .join(group_members, group_members.c.group_id == groups.c.id)
        .where(group_members.c.user_id == user_id, group_members.c.source == source)
    )
    return set(connection.execute(found).scalars())


def own_names(connection: Connection, names: Iterable[str], source: str) -> set[str]:
    """Those of the names that no group of another source has."""
    wanted = sorted(set(names))
    others: set[str] = set()
    for start in range(0, len(wanted), _STEP):
        part = wanted[start : start + _STEP]
        found = select(groups.c.name).where(groups.c.name.in_(part), groups.c.source != source)
        others |= set(connection.execute(found).scalars())
    return set(wanted) - others


def replace_memberships(connection: Connection, user_id: int, names: set[str], source: str, now: float) -> list[str]:
    """Put a user into exactly these groups of a source, which are made where missing; gives the names of new ones.

    What others (an administrator, another source) said of the user's groups stays, and so do groups that somebody else
    made under such a name in the meantime.
    """
    made: list[str] = []
    ids: list[int] = []
    for name in sorted(names):
        own = select(groups.c.id).where(groups.c.name == name, groups.c.source == source)
        found = connection.execute(own).scalar()
        if found is None and (found := add_group(connection, name, "", source, now)) is not None:
            made.append(name)
        if found is None:  # made by another transaction, which we waited for
            found = connection.execute(own).scalar()
        if found is not None:
            ids.append(int(found))
    mine = group_members.c.user_id == user_id
    connection.execute(delete(group_members).where(mine, group_members.c.source == source))
    kept = set(connection.execute(select(group_members.c.group_id).where(mine)).scalars())
    fresh = [{"group_id": group, "user_id": user_id, "source": source} for group in ids if group not in kept]
    if fresh:
        connection.execute(insert(group_members), fresh)
    return made
