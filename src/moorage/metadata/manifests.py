"""Queries about manifests and what they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, delete, func, literal_column, null, select

from moorage.core.errors import ManifestInvalid
from moorage.metadata.blobs import batches
from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import manifest_references, manifests, repositories, tags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

INLINE_LIMIT = 256 * 1024
"""Bytes; a larger payload is not part of the lookup but read in pieces, so that many slow pulls cost no memory."""

_INLINE = case((manifests.c.size <= literal_column(str(INLINE_LIMIT)), manifests.c.payload), else_=null()).label(
    "payload"
)
_FOUND = select(
    manifests.c.digest,
    manifests.c.media_type,
    manifests.c.size,
    manifests.c.id,
    _INLINE,
    repositories.c.project_id,
    manifests.c.repository_id,
)

MANIFEST_BY_TAG = Lookup(
    _FOUND.select_from(tags)
    .join(repositories, repositories.c.id == tags.c.repository_id)
    .join(manifests, manifests.c.id == tags.c.manifest_id)
    .where(repositories.c.name == bindparam("name"), tags.c.name == bindparam("tag")),
    ("name", "tag"),
    kept=True,
)
"""name, tag -> digest, media_type, size, id, payload (None where it is over `INLINE_LIMIT`); ids of the repository's
project and of the repository."""

MANIFEST_BY_DIGEST = Lookup(
    _FOUND.join(repositories, repositories.c.id == manifests.c.repository_id).where(
        repositories.c.name == bindparam("name"), manifests.c.digest == bindparam("digest")
    ),
    ("name", "digest"),
    kept=True,
)
"""name, digest -> the same."""

PAYLOAD_PART = Lookup(
    select(func.substr(manifests.c.payload, bindparam("start"), bindparam("length"))).where(
        manifests.c.id == bindparam("id")
    ),
    ("start", "length", "id"),
)
"""start (from 1), length, id -> those bytes of a payload."""

_FIND = Prepared(
    lambda _: select(manifests.c.id, manifests.c.media_type).where(
        manifests.c.repository_id == bindparam("repository_"), manifests.c.digest == bindparam("digest_")
    ),
    "repository_",
    "digest_",
)
_COLUMNS = (
    "repository_id",
    "digest",
    "media_type",
    "artifact_type",
    "subject",
    "annotations",
    "size",
    "pushed_at",
    "pushed_by",
    "payload",
)
_ADD = Prepared(
    lambda insert: (
        insert(manifests)
        .values({column: bindparam(f"{column}_") for column in _COLUMNS})
        .on_conflict_do_nothing(index_elements=["repository_id", "digest"])
    ),
    *(f"{column}_" for column in _COLUMNS),
)
_REFERENCE = ("manifest_id", "position", "kind", "digest")
_ADD_REFERENCE = Prepared(
    lambda insert: insert(manifest_references).values({column: bindparam(f"{column}_") for column in _REFERENCE}),
    *(f"{column}_" for column in _REFERENCE),
)


@dataclass(frozen=True, slots=True)
class NewManifest:
    """A manifest to be stored.

    Attributes:
        references: `(kind, digest)` of all it names, in order (see `tables.manifest_references`).
        annotations: JSON text, kept only where it has a subject (for the referrers list).
    """

    digest: str
    media_type: str
    artifact_type: str
    subject: str | None
    annotations: str | None
    payload: bytes
    references: tuple[tuple[str, str], ...]


def find_manifest(connection: Connection, repository_id: int, digest: str) -> int | None:
    """The id of a manifest in a repository, or None."""
    found = _FIND.row(connection, repository_id, digest)
    return int(found[0]) if found is not None else None


def known_manifests(connection: Connection, repository_id: int, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that are manifests of the repository."""
    found: set[str] = set()
    for some in batches(digests):
        statement = select(manifests.c.digest).where(
            manifests.c.repository_id == repository_id, manifests.c.digest.in_(some)
        )
        found.update(connection.scalars(statement))
    return found


def add_manifest(connection: Connection, repository_id: int, new: NewManifest, actor: str, now: float) -> int:
    """Store a manifest and what it names, unless it is there already; return its id.

    Raises:
        ManifestInvalid: it is there as another type. Its bytes say none, so that whoever pulls it by digest or by
            another tag would be served something else than was pushed there.
    """
    found = _find_same(connection, repository_id, new)
    if found is not None:
        return found
    inserted = _ADD.count(
        connection,
        repository_id,
        new.digest,
        new.media_type,
        new.artifact_type,
        new.subject,
        new.annotations,
        len(new.payload),
        now,
        actor,
        new.payload,
    )
    found = _find_same(connection, repository_id, new)
    if found is None:
        raise LookupError(new.digest)
    if inserted and new.references:
        _ADD_REFERENCE.many(
            connection,
            [(found, position, kind, digest) for position, (kind, digest) in enumerate(new.references)],
        )
    return found


def _find_same(connection: Connection, repository_id: int, new: NewManifest) -> int | None:
    found = _FIND.row(connection, repository_id, new.digest)
    if found is None:
        return None
    if found[1] != new.media_type:
        raise ManifestInvalid(
            f"This manifest is here already as {found[1]}, and not as {new.media_type}: "
            "push it as that, with a mediaType of its own, or delete it first."
        )
    return int(found[0])


def remove_manifest(connection: Connection, manifest_id: int) -> None:
    """Remove a manifest that no tag points to any more, and the record of what it names."""
    connection.execute(delete(manifest_references).where(manifest_references.c.manifest_id == manifest_id))
    connection.execute(delete(manifests).where(manifests.c.id == manifest_id))


def payload_of(connection: Connection, repository_id: int, digest: str, media_type: str) -> bytes | None:
    """The bytes of a manifest of one media type, or None."""
    statement = select(manifests.c.payload).where(
        manifests.c.repository_id == repository_id,
        manifests.c.digest == digest,
        manifests.c.media_type == media_type,
    )
    payload: bytes | None = connection.execute(statement).scalar_one_or_none()
    return payload
