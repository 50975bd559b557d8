"""Queries about blobs whose files are not known to be on the disk yet; their bytes are kept here until they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select

from moorage.core.digest import Digest
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import unsynced_blobs

if TYPE_CHECKING:
    from sqlalchemy import Connection

_KEEP = Prepared(
    lambda insert: insert(unsynced_blobs).values(digest=bindparam("digest_"), content=bindparam("content_")),
    "digest_",
    "content_",
)


def keep_unsynced(connection: Connection, digest: Digest, content: bytes) -> None:
    """Keep a blob's bytes."""
    _KEEP.count(connection, digest, content)


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


def forget_unsynced(connection: Connection, last: int, limit: int) -> int:
    """Let go of up to `limit` of the first numbers up to `last`; how many that were."""
    numbers = select(unsynced_blobs.c.number).where(unsynced_blobs.c.number <= last)
    first = numbers.order_by(unsynced_blobs.c.number).limit(limit)
    return connection.execute(delete(unsynced_blobs).where(unsynced_blobs.c.number.in_(first))).rowcount
