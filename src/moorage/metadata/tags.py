"""Queries about tags and their history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Double, Text, bindparam, delete, func, select

from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import manifests, tag_history, tags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_POINTED = (
    select(manifests.c.digest)
    .join(tags, tags.c.manifest_id == manifests.c.id)
    .where(tags.c.repository_id == bindparam("repository_"), tags.c.name == bindparam("name_"))
)
_TAG = Prepared(lambda _: _POINTED, "repository_", "name_")
_HOLD_TAG = Prepared(
    lambda _: select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key_", type_=Text), 0))), "key_"
)
_HOLD_MANIFEST = Prepared(
    lambda _: select(manifests.c.id).where(manifests.c.id == bindparam("id_")).with_for_update(), "id_"
)
_POINT_TAG = Prepared(
    lambda insert: (
        insert(tags)
        .values(
            repository_id=bindparam("repository_"),
            name=bindparam("name_"),
            manifest_id=bindparam("manifest_"),
            updated_at=bindparam("now_"),
        )
        .on_conflict_do_update(
            index_elements=["repository_id", "name"],
            set_={
                "manifest_id": bindparam("manifest_", type_=BigInteger),
                "updated_at": bindparam("now_", type_=Double),
            },
        )
    ),
    "repository_",
    "name_",
    "manifest_",
    "now_",
)
_RECORD_MOVE = Prepared(
    lambda insert: insert(tag_history).values(
        repository_id=bindparam("repository_"),
        name=bindparam("name_"),
        digest=bindparam("digest_"),
        previous=bindparam("previous_"),
        actor=bindparam("actor_"),
        at=bindparam("now_"),
    ),
    "repository_",
    "name_",
    "digest_",
    "previous_",
    "actor_",
    "now_",
)


def tag_digest(connection: Connection, repository_id: int, name: str, *, hold: bool = False) -> str | None:
    """The digest that a tag points to, or None; with `hold` nobody else sets or moves it until the transaction ends."""
    if hold:
        hold_tags(connection, repository_id, (name,))
    found = _TAG.row(connection, repository_id, name)
    return str(found[0]) if found is not None else None


def hold_tags(connection: Connection, repository_id: int, names: Iterable[str]) -> None:
    """Let nobody else set, move or remove these tags until the transaction ends, those that do not exist yet included.

    A lock on the row would not do on PostgreSQL: a tag that is new has none, and who waited for the row of a moved one
    gets it joined with the manifest of before, which is to say not at all. On SQLite one writes at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        for name in sorted(set(names)):  # in one order, so that no two wait for each other
            _HOLD_TAG.row(connection, f"{repository_id}/{name}")


def hold_tags_of(connection: Connection, repository_id: int, manifest_id: int) -> list[str] | None:
    """The tags that point to a manifest, none of which comes, moves or goes until the transaction ends.

    None where the manifest itself is gone.
    """
    if connection.dialect.name == "postgresql":
        hold_tags(connection, repository_id, tags_of(connection, manifest_id))
        if _HOLD_MANIFEST.row(connection, manifest_id) is None:
            return None
        hold_tags(connection, repository_id, tags_of(connection, manifest_id))
    return tags_of(connection, manifest_id)


def point_tag(connection: Connection, repository_id: int, name: str, manifest_id: int, now: float) -> None:
    """Make a tag point to a manifest, new or moved."""
    _POINT_TAG.count(connection, repository_id, name, manifest_id, now)


def remove_tag(connection: Connection, repository_id: int, name: str) -> bool:
    """Remove a tag; False where there was none."""
    statement = delete(tags).where(tags.c.repository_id == repository_id, tags.c.name == name)
    return connection.execute(statement).rowcount > 0


def tags_of(connection: Connection, manifest_id: int) -> list[str]:
    """The tags that point to a manifest, in byte order."""
    return list(connection.scalars(select(tags.c.name).where(tags.c.manifest_id == manifest_id).order_by(tags.c.name)))


def list_tags(connection: Connection, repository_id: int, after: str, limit: int) -> list[str]:
    """Up to `limit` tags after `after`, in byte order."""
    statement = select(tags.c.name).where(tags.c.repository_id == repository_id, tags.c.name > after)
    return list(connection.scalars(statement.order_by(tags.c.name).limit(limit)))


def record_move(
    connection: Connection,
    repository_id: int,
    name: str,
    *,
    digest: str | None,
    previous: str | None,
    actor: str,
    now: float,
) -> None:
    """Write down who moved a tag from what to what; `digest` None: removed, `previous` None: new."""
    _RECORD_MOVE.count(connection, repository_id, name, digest, previous, actor, now)
