"""Queries about blobs and the repositories that link them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import BigInteger, Double, Text, bindparam, delete, select, update

from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import blob_links, blobs, repositories

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

V = TypeVar("V", str, int)

IN_LIMIT = 500
"""Values in one `IN (...)`; SQLite takes 32,766 parameters, planners like fewer."""

FEW = 16
"""Up to so many a statement is kept for each number: the blobs of most manifests."""

LINKED_BLOB = Lookup(
    select(
        blobs.c.size,
        blobs.c.location,
        blob_links.c.leased_at,
        repositories.c.project_id,
        repositories.c.id.label("repository_id"),
    )
    .select_from(blob_links)
    .join(repositories, repositories.c.id == blob_links.c.repository_id)
    .join(blobs, blobs.c.digest == blob_links.c.digest)
    .where(repositories.c.name == bindparam("name"), blob_links.c.digest == bindparam("digest")),
    ("name", "digest"),
    kept=True,
)
"""name, digest -> size, location, leased_at of a blob that a repository links; ids of its project and itself."""

_ADD_BLOB = Prepared(
    lambda insert: (
        insert(blobs)
        .values(
            digest=bindparam("digest_"),
            size=bindparam("size_"),
            location=bindparam("location_"),
            created_at=bindparam("now_"),
        )
        .on_conflict_do_update(
            index_elements=["digest"],
            set_={"size": bindparam("size_", type_=BigInteger), "location": bindparam("location_", type_=Text)},
        )
    ),
    "digest_",
    "size_",
    "location_",
    "now_",
)
_LINK_BLOB = Prepared(
    lambda insert: (
        insert(blob_links)
        .values(repository_id=bindparam("repository_"), digest=bindparam("digest_"), leased_at=bindparam("now_"))
        .on_conflict_do_update(
            index_elements=["repository_id", "digest"], set_={"leased_at": bindparam("now_", type_=Double)}
        )
    ),
    "repository_",
    "digest_",
    "now_",
)


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as the store has it: where, and how many bytes."""

    digest: str
    size: int
    location: str


def find_linked(connection: Connection, repository_id: int, digest: str) -> StoredBlob | None:
    """The blob, if this repository links it."""
    statement = (
        select(blobs.c.digest, blobs.c.size, blobs.c.location)
        .join(blob_links, blob_links.c.digest == blobs.c.digest)
        .where(blob_links.c.repository_id == repository_id, blob_links.c.digest == digest)
    )
    row = connection.execute(statement).one_or_none()
    return StoredBlob(*row) if row is not None else None


def find_source(connection: Connection, digest: str) -> str | None:
    """The name of any one repository that links a blob (for a mount that names none)."""
    statement = (
        select(repositories.c.name)
        .join(blob_links, blob_links.c.repository_id == repositories.c.id)
        .where(blob_links.c.digest == digest)
        .limit(1)
    )
    name: str | None = connection.execute(statement).scalar_one_or_none()
    return name


def source_among(connection: Connection, digest: str, names: Iterable[str]) -> str | None:
    """The name of one of these repositories that links a blob.

    It takes as long as there are names, wherever else the blob is: each is looked up in the key of the links.
    """
    # In the list of columns, as no join there can begin with all the links of the blob.
    linked = (
        select(blob_links.c.repository_id)
        .where(blob_links.c.repository_id == repositories.c.id, blob_links.c.digest == digest)
        .scalar_subquery()
    )
    for some in batches(names):
        statement = select(repositories.c.name, linked).where(repositories.c.name.in_(some))
        found = [str(name) for name, link in connection.execute(statement) if link is not None]
        if found:
            return found[0]
    return None


def links_from(connection: Connection, digest: str, limit: int) -> list[tuple[str, str, bool]]:
    """Who links a blob, and then who links the blobs next to it, up to `limit` links: digest, repository, is it public.

    So it takes as long whether many link the blob, or none. Digests are in order, and after the last comes the first.
    """
    found: list[tuple[str, str, bool]] = []
    # In the list of columns, as there no join can begin with the repositories.
    name, public = (
        select(column).where(repositories.c.id == blob_links.c.repository_id).scalar_subquery()
        for column in (repositories.c.name, repositories.c.public)
    )
    for some in (blob_links.c.digest >= digest, blob_links.c.digest < digest):
        statement = select(blob_links.c.digest, name, public).where(some).order_by(blob_links.c.digest)
        rows = connection.execute(statement.limit(limit - len(found)))
        found += [(str(row[0]), str(row[1]), bool(row[2])) for row in rows]
    return found


@cache
def _linked_among(number: int) -> Prepared:
    """repository, so many digests -> those of them that it links."""
    names = [f"digest{place}_" for place in range(number)]
    linked = blob_links.c.digest.in_([bindparam(name) for name in names])
    statement = select(blob_links.c.digest).where(blob_links.c.repository_id == bindparam("repository_"), linked)
    return Prepared(lambda _: statement, "repository_", *names)


def linked_digests(connection: Connection, repository_id: int, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that the repository links as blobs."""
    found: set[str] = set()
    for some in batches(digests):
        if len(some) <= FEW:
            found.update(row[0] for row in _linked_among(len(some)).rows(connection, repository_id, *some))
            continue
        statement = select(blob_links.c.digest).where(
            blob_links.c.repository_id == repository_id, blob_links.c.digest.in_(some)
        )
        found.update(connection.scalars(statement))
    return found


def add_blob(connection: Connection, blob: StoredBlob, now: float) -> None:
    """Record a blob that was sealed. One that is known already gets the newest size and location."""
    _ADD_BLOB.count(connection, blob.digest, blob.size, blob.location, now)


def link_blob(connection: Connection, repository_id: int, digest: str, now: float) -> None:
    """Make a blob readable in a repository, or renew its lease there."""
    _LINK_BLOB.count(connection, repository_id, digest, now)


def renew_lease(connection: Connection, name: str, digest: str, now: float) -> bool:
    """Renew the lease of a blob in a repository; False where the link is gone."""
    repository = select(repositories.c.id).where(repositories.c.name == name).scalar_subquery()
    statement = update(blob_links).where(blob_links.c.repository_id == repository, blob_links.c.digest == digest)
    return connection.execute(statement.values(leased_at=now)).rowcount > 0


def unlink_blob(connection: Connection, repository_id: int, digest: str) -> bool:
    """Take a blob from a repository; its bytes stay for garbage collection. False where it was not linked."""
    statement = delete(blob_links).where(blob_links.c.repository_id == repository_id, blob_links.c.digest == digest)
    return connection.execute(statement).rowcount > 0


def batches(values: Iterable[V]) -> Iterator[list[V]]:
    """`values` without repetitions, in lists of at most `IN_LIMIT`."""
    unique = list(dict.fromkeys(values))
    for start in range(0, len(unique), IN_LIMIT):
        yield unique[start : start + IN_LIMIT]
