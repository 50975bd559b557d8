"""Queries about the keys that tokens are signed with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, insert, or_, select, text, update

from moorage.metadata.tables_access import signing_keys

if TYPE_CHECKING:
    from sqlalchemy import Connection


_LOCK = 0x6D6F6F74


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is kept; see `tables_access.signing_keys`.

    public: a JWK as JSON. private: encrypted, see `moorage.auth.keys`.
    """

    kid: str
    algorithm: str
    public: str
    private: str
    created_at: float
    signs_from: float
    ends_at: float | None


def hold_keys(connection: Connection) -> None:
    """Until the transaction ends, nobody else who asked for this makes a key.

    On SQLite one writes at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def living_keys(connection: Connection, now: float) -> list[KeyRow]:
    """The keys that still sign, will sign or verify, the oldest first."""
    alive = (
        select(signing_keys)
        .where(or_(signing_keys.c.ends_at.is_(None), signing_keys.c.ends_at > now))
        .order_by(signing_keys.c.signs_from, signing_keys.c.kid)
    )
    return [KeyRow(*row) for row in connection.execute(alive)]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What everybody may know of a key, and when it does what; see `KeyRow`."""

    kid: str
    algorithm: str
    public: str
    created_at: float
    signs_from: float
    ends_at: float | None


def list_keys(connection: Connection, after: tuple[float, str], limit: int) -> list[PublicKey]:
    """Keys in the order in which they begin to sign, those that ended too, from behind `(signs_from, kid)`."""
    key = signing_keys.c
    columns = (key.kid, key.algorithm, key.public, key.created_at, key.signs_from, key.ends_at)
    behind = or_(key.signs_from > after[0], and_(key.signs_from == after[0], key.kid > after[1]))
    statement = select(*columns).where(behind).order_by(key.signs_from, key.kid).limit(limit)
    return [PublicKey(*row) for row in connection.execute(statement)]


def add_key(connection: Connection, key: KeyRow) -> None:
    """Publish a new key."""
    connection.execute(
        insert(signing_keys).values(
            kid=key.kid,
            algorithm=key.algorithm,
            public=key.public,
            private=key.private,
            created_at=key.created_at,
            signs_from=key.signs_from,
            ends_at=key.ends_at,
        )
    )


def end_older_keys(connection: Connection, signs_from: float, ends_at: float) -> int:
    """Let all that began to sign before `signs_from` verify until `ends_at` only; how many that ends."""
    older = (
        update(signing_keys)
        .where(
            signing_keys.c.signs_from < signs_from,
            or_(signing_keys.c.ends_at.is_(None), signing_keys.c.ends_at > ends_at),
        )
        .values(ends_at=ends_at)
    )
    return connection.execute(older).rowcount


def end_all_keys(connection: Connection, now: float) -> int:
    """Let none verify any longer: every token that was given out is dead."""
    alive = update(signing_keys).where(or_(signing_keys.c.ends_at.is_(None), signing_keys.c.ends_at > now))
    return connection.execute(alive.values(ends_at=now)).rowcount


def remove_ended_keys(connection: Connection, before: float) -> int:
    """Forget those that ended before then; how many."""
    return connection.execute(delete(signing_keys).where(signing_keys.c.ends_at < before)).rowcount
