"""Queries about users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, bindparam, delete, func, select, update

from moorage.metadata.pages import Page, in_page, insert_new
from moorage.metadata.tables_access import access_tokens, refresh_tokens, sessions, users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

_COLUMNS = (
    users.c.id,
    users.c.name,
    users.c.email,
    users.c.admin,
    users.c.disabled,
    users.c.source,
    users.c.password.is_not(None),
    users.c.created_at,
    users.c.updated_at,
    users.c.last_login_at,
    users.c.version,
)
_ADMINS_KEY = "moorage: the admins of the system"


@dataclass(frozen=True, slots=True)
class User:
    """A person, without any secret.

    Attributes:
        source: `local`, `ldap:<name>` or `oidc:<name>`: who knows whether the person still is one of us.
        has_password: whether a local password is set.
        created_at, updated_at, last_login_at: seconds since 1970.
        version: counts up with every change.
    """

    id: int
    name: str
    email: str
    admin: bool
    disabled: bool
    source: str
    has_password: bool
    created_at: float
    updated_at: float
    last_login_at: float | None
    version: int


@dataclass(frozen=True, slots=True)
class NewUser:
    """A local user to be made; `password` is a hash, or None for somebody who cannot log in with one."""

    name: str
    email: str
    password: str | None
    admin: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How much of what was given out to a user was taken back."""

    sessions: int
    refresh_tokens: int
    access_tokens: int


def find_user(connection: Connection, row: int) -> User | None:
    """A user by id."""
    return _user(connection.execute(select(*_COLUMNS).where(users.c.id == row)).first())


def find_user_by_name(connection: Connection, name: str) -> User | None:
    """A user by name, in lower case."""
    return _user(connection.execute(select(*_COLUMNS).where(users.c.name == name)).first())


def password_of(connection: Connection, row: int) -> str | None:
    """The hash of a user's password; None where there is none, or no such user."""
    found: str | None = connection.execute(select(users.c.password).where(users.c.id == row)).scalar()
    return found


def list_users(connection: Connection, page: Page) -> list[User]:
    """Users in the order of their names."""
    rows = connection.execute(in_page(select(*_COLUMNS), users.c.name, page))
    return [User(*row) for row in rows]


def add_user(connection: Connection, new: NewUser, now: float) -> int | None:
    """Make a local user and return the id; None where the name is taken."""
    values = {
        "name": new.name,
        "email": new.email,
        "password": new.password,
        "admin": new.admin,
        "disabled": new.disabled,
        "source": "local",
        "subject": None,
        "epoch": 1,
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
    return insert_new(connection, users, values, users.c.id)


def change_user(connection: Connection, row: int, values: Mapping[str, Any], now: float, *, end: bool) -> None:
    """Set columns of a user. With `end`, all that was given out before ends: the epoch goes up."""
    more = {"epoch": users.c.epoch + 1} if end else {}
    changed = {**values, **more, "updated_at": now, "version": users.c.version + 1}
    connection.execute(update(users).where(users.c.id == row).values(changed))


def end_logins(connection: Connection, row: int, *, access_tokens_too: bool) -> Ended:
    """Remove a user's sessions, refresh tokens and, where asked for, personal access tokens."""
    gone = connection.execute(delete(sessions).where(sessions.c.user_id == row)).rowcount
    refresh = connection.execute(delete(refresh_tokens).where(refresh_tokens.c.user_id == row)).rowcount
    personal = 0
    if access_tokens_too:
        personal = connection.execute(delete(access_tokens).where(access_tokens.c.user_id == row)).rowcount
    return Ended(gone, refresh, personal)


def remove_user(connection: Connection, row: int) -> None:
    """Remove a user with memberships, personal access tokens, refresh tokens and sessions; not the grants."""
    connection.execute(delete(users).where(users.c.id == row))


def hold_user(connection: Connection, row: int) -> User | None:
    """A user by id, whom nobody else changes until the transaction ends."""
    return _user(connection.execute(select(*_COLUMNS).where(users.c.id == row).with_for_update()).first())


def hold_admins(connection: Connection) -> None:
    """Let nobody else who holds them take an admin's rights until the transaction ends.

    SQLite has one writer at a time, so there is nothing to do.
    """
    if connection.dialect.name == "postgresql":
        key = func.hashtextextended(bindparam("key_", type_=Text), 0)
        connection.execute(select(func.pg_advisory_xact_lock(key)), {"key_": _ADMINS_KEY})


def is_another_admin(connection: Connection, row: int) -> bool:
    """Whether an admin is there who is enabled and is not this one."""
    others = select(users.c.id).where(users.c.admin, ~users.c.disabled, users.c.id != row)
    return connection.execute(others.limit(1)).first() is not None


def _user(row: Row[Any] | None) -> User | None:
    return User(*tuple(row)) if row is not None else None
