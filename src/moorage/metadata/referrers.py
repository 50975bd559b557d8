"""Queries about referrers: manifests that name another one as their `subject`."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import select

from moorage.metadata.blobs import batches
from moorage.metadata.tables import manifests

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Referrer:
    """One manifest that refers to a subject; `annotations` is JSON text or None."""

    id: int
    digest: str
    media_type: str
    size: int
    artifact_type: str
    annotations: str | None


def list_referrers(
    connection: Connection,
    repository_id: int,
    subject: str,
    *,
    types: Sequence[str],
    after: int,
    limit: int,
    room: int,
) -> list[Referrer]:
    """Referrers of a subject after id `after`, oldest first; of `types` only, where any are given.

    Up to `limit` of them, and no more than the first whose manifests have `room` bytes together: annotations may be as
    long as a manifest. One at least, where there is any.
    """
    kinds: Sequence[str | None] = types or (None,)
    heads = [_heads(connection, repository_id, subject, kind, after, limit) for kind in dict.fromkeys(kinds)]
    chosen: list[int] = []
    for key, size in islice(merge(*heads), limit):
        if chosen and room <= 0:
            break
        chosen.append(key)
        room -= size
    columns = (
        manifests.c.id,
        manifests.c.digest,
        manifests.c.media_type,
        manifests.c.size,
        manifests.c.artifact_type,
        manifests.c.annotations,
    )
    found = [
        Referrer(*row)
        for some in batches(chosen)
        for row in connection.execute(select(*columns).where(manifests.c.id.in_(some)))
    ]
    return sorted(found, key=lambda referrer: referrer.id)


def _heads(
    connection: Connection, repository_id: int, subject: str, kind: str | None, after: int, limit: int
) -> list[tuple[int, int]]:
    """Id and size of the next referrers, along an index; of one artifact type, or of all."""
    statement = select(manifests.c.id, manifests.c.size).where(
        manifests.c.repository_id == repository_id, manifests.c.subject == subject, manifests.c.id > after
    )
    if kind is not None:
        statement = statement.where(manifests.c.artifact_type == kind)
    return [(key, size) for key, size in connection.execute(statement.order_by(manifests.c.id).limit(limit))]


def referring(connection: Connection, repository_id: int, subject: str, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that are manifests of the repository and refer to `subject`."""
    found: set[str] = set()
    for some in batches(digests):
        statement = select(manifests.c.digest).where(
            manifests.c.repository_id == repository_id, manifests.c.digest.in_(some), manifests.c.subject == subject
        )
        found.update(connection.scalars(statement))
    return found
