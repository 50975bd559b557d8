"""Queries about sessions of the pages and the management API."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, update

from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables_access import sessions, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

SESSION = Lookup(
    select(
        users.c.id,
        users.c.name,
        users.c.admin,
        users.c.disabled,
        users.c.epoch,
        sessions.c.epoch,
        sessions.c.expires_at,
        sessions.c.last_used_at,
    )
    .select_from(sessions)
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.hash == bindparam("hash")),
    ("hash",),
)
"""hash -> the owner's id, name, admin, disabled, epoch; the session's epoch, expires_at, last_used_at."""

_TOUCH = Prepared(
    lambda _: (
        update(sessions)
        .where(sessions.c.hash == bindparam("hash_"), sessions.c.last_used_at < bindparam("at_"))
        .values(last_used_at=bindparam("at_"))
    ),
    "hash_",
    "at_",
)


@dataclass(frozen=True, slots=True)
class NewSession:
    """What is kept of a session; see `tables_access.sessions`."""

    hash: str
    user_id: int
    epoch: int
    created_at: float
    expires_at: float
    last_used_at: float
    address: str


def add_session(connection: Connection, new: NewSession) -> None:
    """Keep a new one, by the hash of its secret."""
    connection.execute(insert(sessions).values(asdict(new)))


def touch_session(connection: Connection, hashed: str, now: float) -> None:
    """Note that it was used now; one that ended meanwhile stays ended."""
    _TOUCH.count(connection, hashed, now)


def session_owner(connection: Connection, hashed: str) -> tuple[int, str] | None:
    """Whose session that is: id and name."""
    joined = sessions.join(users, users.c.id == sessions.c.user_id)
    statement = select(users.c.id, users.c.name).select_from(joined).where(sessions.c.hash == hashed)
    row = connection.execute(statement).first()
    return (row[0], row[1]) if row is not None else None


def remove_session(connection: Connection, hashed: str) -> int:
    """End one; how many there were."""
    return connection.execute(delete(sessions).where(sessions.c.hash == hashed)).rowcount


def remove_users_sessions(connection: Connection, user_id: int) -> int:
    """End all of a user; how many there were."""
    return connection.execute(delete(sessions).where(sessions.c.user_id == user_id)).rowcount


def trim_users_sessions(connection: Connection, user_id: int, keep: int) -> int:
    """End all but the newest `keep` of a user; how many went."""
    kept = (
        select(sessions.c.hash)
        .where(sessions.c.user_id == user_id)
        .order_by(sessions.c.created_at.desc(), sessions.c.hash)
        .limit(keep)
    )
    gone = delete(sessions).where(sessions.c.user_id == user_id, sessions.c.hash.not_in(kept))
    return connection.execute(gone).rowcount


def remove_expired_sessions(connection: Connection, now: float, most: int) -> int:
    """Remove up to `most` whose time is over; how many."""
    ended = select(sessions.c.hash).where(sessions.c.expires_at <= now).order_by(sessions.c.expires_at).limit(most)
    found = list(connection.execute(ended).scalars())
    if not found:
        return 0
    return connection.execute(delete(sessions).where(sessions.c.hash.in_(found))).rowcount
