"""Queries about small blobs that have no durable file yet; their bytes are kept here until they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import bindparam, delete, func, select

from moorage.core.digest import Digest
from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import unsynced_blobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from moorage.metadata.database import Database

_KEEP = Prepared(
    lambda insert: insert(unsynced_blobs).values(digest=bindparam("digest_"), content=bindparam("content_")),
    "digest_",
    "content_",
)
_CONTENT = Lookup(select(unsynced_blobs.c.content).where(unsynced_blobs.c.digest == bindparam("digest")), ("digest",))


def keep_unsynced(connection: Connection, digest: Digest, content: bytes) -> None:
    """Keep a blob's bytes."""
    _KEEP.count(connection, digest, content)


async def unsynced_content(database: Database, digest: Digest) -> bytes | None:
    """The bytes that are kept of a blob, from any thread."""
    row = await database.lookup(_CONTENT, digest)
    return cast("bytes", row[0]) if row is not None else None


def newest_unsynced(connection: Connection) -> int:
    """The number of the last one that was kept, 0 where there is none. Numbers only grow."""
    return connection.execute(select(func.max(unsynced_blobs.c.number))).scalar() or 0


def unsynced_after(connection: Connection, after: int, last: int, limit: int) -> list[tuple[int, Digest, bytes]]:
    """Up to `limit` of the numbers after `after` and up to `last`, in order: number, digest, bytes."""
    table = unsynced_blobs.c
    query = select(table.number, table.digest, table.content).where(table.number > after, table.number <= last)
    return [
        (number, Digest(digest), content)
        for number, digest, content in connection.execute(query.order_by(table.number).limit(limit))
    ]


def forget_unsynced(connection: Connection, digests: Iterable[Digest], last: int) -> None:
    """Let go of what is kept of some blobs, a few hundred at most, under numbers up to `last`."""
    table = unsynced_blobs.c
    connection.execute(delete(unsynced_blobs).where(table.number <= last, table.digest.in_(list(digests))))
