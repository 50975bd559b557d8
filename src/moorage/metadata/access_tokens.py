"""Queries about personal access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, func, select

from moorage.metadata.pages import insert_new
from moorage.metadata.tables_access import access_tokens, users

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

_COLUMNS = (
    access_tokens.c.id,
    access_tokens.c.user_id,
    users.c.name,
    access_tokens.c.name,
    access_tokens.c.scopes,
    access_tokens.c.created_at,
    access_tokens.c.expires_at,
    access_tokens.c.last_used_at,
    access_tokens.c.version,
)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A personal access token, without the token.

    Attributes:
        user_id, user: the owner.
        name: the owner's word for it.
        scopes: what it narrows its owner's rights to, in Docker's grammar; empty: not at all.
        created_at, expires_at, last_used_at: seconds since 1970.
        version: counts up with every change.
    """

    id: int
    user_id: int
    user: str
    name: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    version: int


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    """A token to be kept, by its hash; see `AccessToken`."""

    user_id: int
    name: str
    hash: str
    scopes: tuple[str, ...]
    expires_at: float | None


def find_token(connection: Connection, row: int, *, hold: bool = False) -> AccessToken | None:
    """A token by id; with `hold` nobody else changes it until the transaction ends."""
    if hold:
        connection.execute(select(access_tokens.c.id).where(access_tokens.c.id == row).with_for_update())
    found = connection.execute(_select().where(access_tokens.c.id == row)).first()
    return _token(found) if found is not None else None


def list_tokens(connection: Connection, after: int, limit: int) -> list[AccessToken]:
    """Everybody's tokens in the order of their ids, from behind `after`."""
    return _list(connection, _select().where(access_tokens.c.id > after), limit)


def list_tokens_of(connection: Connection, user_id: int, after: int, limit: int) -> list[AccessToken]:
    """One user's tokens in the order of their ids, from behind `after`."""
    return _list(connection, _select().where(access_tokens.c.user_id == user_id, access_tokens.c.id > after), limit)


def count_tokens_of(connection: Connection, user_id: int) -> int:
    """How many tokens a user has; there is a limit, so that is a small number."""
    statement = select(func.count()).select_from(access_tokens).where(access_tokens.c.user_id == user_id)
    return int(connection.execute(statement).scalar_one())


def add_token(connection: Connection, new: NewAccessToken, now: float) -> int | None:
    """Keep a new token and return its id; None where its owner has one of that name."""
    values = {
        "user_id": new.user_id,
        "name": new.name,
        "hash": new.hash,
        "scopes": orjson.dumps(new.scopes).decode(),
        "created_at": now,
        "expires_at": new.expires_at,
        "version": 1,
    }
    return insert_new(connection, access_tokens, values, access_tokens.c.id)


def remove_token(connection: Connection, row: int) -> None:
    """Remove a token, and the refresh tokens that were given for it."""
    connection.execute(delete(access_tokens).where(access_tokens.c.id == row))


def _select() -> Select[Any]:
    return select(*_COLUMNS).select_from(access_tokens).join(users, users.c.id == access_tokens.c.user_id)


def _list(connection: Connection, statement: Select[Any], limit: int) -> list[AccessToken]:
    rows = connection.execute(statement.order_by(access_tokens.c.id).limit(limit))
    return [_token(row) for row in rows]


def _token(row: Row[Any]) -> AccessToken:
    values = list(row)
    values[4] = tuple(orjson.loads(values[4]))
    return AccessToken(*values)
