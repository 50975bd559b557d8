"""Queries about referrers: manifests that name another one as their `subject`."""

from __future__ import annotations

from dataclasses import dataclass
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
) -> list[Referrer]:
    """Up to `limit` referrers of a subject after id `after`, oldest first; of `types` only, where any are given."""
    statement = select(
        manifests.c.id,
        manifests.c.digest,
        manifests.c.media_type,
        manifests.c.size,
        manifests.c.artifact_type,
        manifests.c.annotations,
    ).where(manifests.c.repository_id == repository_id, manifests.c.subject == subject, manifests.c.id > after)
    if types:
        statement = statement.where(manifests.c.artifact_type.in_(types))
    rows = connection.execute(statement.order_by(manifests.c.id).limit(limit))
    return [Referrer(*row) for row in rows]


def referring(connection: Connection, repository_id: int, subject: str, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that are manifests of the repository and refer to `subject`."""
    found: set[str] = set()
    for some in batches(digests):
        statement = select(manifests.c.digest).where(
            manifests.c.repository_id == repository_id, manifests.c.digest.in_(some), manifests.c.subject == subject
        )
        found.update(connection.scalars(statement))
    return found
