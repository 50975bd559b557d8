"""Queries about refresh tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, update

from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables_access import access_tokens, refresh_tokens, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

REFRESH_TOKEN = Lookup(
    select(
        users.c.id,
        users.c.name,
        users.c.admin,
        users.c.disabled,
        users.c.epoch,
        refresh_tokens.c.id,
        refresh_tokens.c.epoch,
        refresh_tokens.c.service,
        refresh_tokens.c.expires_at,
        refresh_tokens.c.access_token_id,
        access_tokens.c.scopes,
        access_tokens.c.expires_at,
    )
    .select_from(refresh_tokens)
    .join(users, users.c.id == refresh_tokens.c.user_id)
    .outerjoin(access_tokens, access_tokens.c.id == refresh_tokens.c.access_token_id)
    .where(refresh_tokens.c.hash == bindparam("hash")),
    ("hash",),
)
"""hash -> the owner's id, name, admin, disabled, epoch; the token's id, epoch, service, expires_at; the personal access
token's id, scopes, expires_at (None where there is none)."""

_EXTEND = Prepared(
    lambda _: (
        update(refresh_tokens)
        .where(refresh_tokens.c.id == bindparam("id_"), refresh_tokens.c.expires_at < bindparam("until_"))
        .values(expires_at=bindparam("until_"))
    ),
    "id_",
    "until_",
)


@dataclass(frozen=True, slots=True)
class NewRefreshToken:
    """What is kept of a refresh token that is given out; see `tables_access.refresh_tokens`."""

    hash: str
    user_id: int
    access_token_id: int | None
    epoch: int
    service: str
    client_id: str
    created_at: float
    expires_at: float


def add_refresh_token(connection: Connection, new: NewRefreshToken) -> None:
    """Keep a new one, by its hash."""
    connection.execute(insert(refresh_tokens).values(asdict(new)))


def extend_refresh_token(connection: Connection, row: int, until: float) -> None:
    """Let one live until a later time; one that is gone stays gone."""
    _EXTEND.count(connection, row, until)


def trim_users_tokens(connection: Connection, user_id: int, keep: int) -> int:
    """Remove all but the newest `keep` of a user; how many went. Who logs in again and again leaves no heap behind."""
    newest = (
        select(refresh_tokens.c.id)
        .where(refresh_tokens.c.user_id == user_id)
        .order_by(refresh_tokens.c.id.desc())
        .limit(keep)
    )
    found = list(connection.execute(newest).scalars())
    if len(found) < keep:
        return 0
    gone = delete(refresh_tokens).where(refresh_tokens.c.user_id == user_id, refresh_tokens.c.id < found[-1])
    return connection.execute(gone).rowcount


def remove_expired_tokens(connection: Connection, now: float, most: int) -> int:
    """Remove up to `most` that have ended; how many."""
    ended = (
        select(refresh_tokens.c.id)
        .where(refresh_tokens.c.expires_at < now)
        .order_by(refresh_tokens.c.expires_at)
        .limit(most)
    )
    rows = list(connection.execute(ended).scalars())
    if not rows:
        return 0
    return connection.execute(delete(refresh_tokens).where(refresh_tokens.c.id.in_(rows))).rowcount
