"""Queries about upload sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Double,
    LargeBinary,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal,
    null,
    select,
    tuple_,
    update,
)

from moorage.metadata.blobs import batches
from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import repositories, uploads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

Stale = tuple[float, str]
"""When a session was last written to, and its id."""

MOST_COUNTED = 100_000
"""Open sessions at which `count_uploads` stops."""

UPLOAD = Lookup(
    select(uploads.c.algorithm, uploads.c.offset, uploads.c.digest, uploads.c.content).where(
        uploads.c.id == bindparam("id"), uploads.c.repository == bindparam("repository")
    ),
    ("id", "repository"),
)
"""id, repository -> algorithm, offset, digest so far, content."""

_NEW: dict[str, BindParameter[Any]] = {
    "id": bindparam("id_", type_=Text),
    "repository": bindparam("repository_", type_=Text),
    "algorithm": bindparam("algorithm_", type_=Text),
    "offset": bindparam("offset_", type_=BigInteger),
    "digest": bindparam("digest_", type_=Text),
    "actor": bindparam("actor_", type_=Text),
    "started_at": bindparam("now_", type_=Double),
    "updated_at": bindparam("now_", type_=Double),
    "content": bindparam("content_", type_=LargeBinary),
}
_GIVEN = ("id_", "repository_", "algorithm_", "offset_", "digest_", "actor_", "now_", "content_")
_IS_THERE = select(repositories.c.id).where(repositories.c.name == bindparam("repository_", type_=Text)).exists()
_ADD_UPLOAD = Prepared(lambda insert: insert(uploads).values(_NEW), *_GIVEN)
_ADD_WHERE_THERE = Prepared(
    lambda insert: insert(uploads).from_select(list(_NEW), select(*_NEW.values()).where(_IS_THERE)), *_GIVEN
)
_ADVANCE_UPLOAD = Prepared(
    lambda _: (
        update(uploads)
        .where(uploads.c.id == bindparam("id_"))
        .values(offset=bindparam("offset_"), digest=bindparam("digest_"), updated_at=bindparam("now_"))
    ),
    "id_",
    "offset_",
    "digest_",
    "now_",
)
_HOLDS = and_(uploads.c.id == bindparam("id_"), uploads.c.offset == bindparam("held_"), uploads.c.content.is_not(None))
_HOLD_UPLOAD = Prepared(
    lambda _: (
        update(uploads)
        .where(_HOLDS)
        .values(offset=bindparam("offset_"), content=bindparam("content_"), updated_at=bindparam("now_"))
    ),
    "id_",
    "held_",
    "offset_",
    "content_",
    "now_",
)
_HAND_OVER = Prepared(
    lambda _: (
        update(uploads)
        .where(_HOLDS)
        .values(offset=bindparam("offset_"), digest=bindparam("digest_"), content=null(), updated_at=bindparam("now_"))
    ),
    "id_",
    "held_",
    "offset_",
    "digest_",
    "now_",
)
_REMOVE_UPLOAD = Prepared(lambda _: delete(uploads).where(uploads.c.id == bindparam("id_")), "id_")


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload session as recorded.

    Attributes:
        id: the UUID that the client sees.
        repository: its name; the repository itself may not exist yet.
        algorithm: with which the bytes are hashed as they arrive.
        offset: bytes that the last finished request left.
        digest: of those bytes, where known.
        actor: who began it.
        content: its bytes while the facts hold them themselves, None where the upload store does.
    """

    id: str
    repository: str
    algorithm: str
    offset: int = 0
    digest: str | None = None
    actor: str = ""
    content: bytes | None = None


def add_upload(connection: Connection, upload: UploadRow, now: float) -> None:
    """Record a session that begins."""
    _ADD_UPLOAD.count(connection, *_values(upload, now))


def add_upload_where_there(connection: Connection, upload: UploadRow, now: float) -> bool:
    """As `add_upload`, in one statement with the question whether there is such a repository; False where not."""
    return _ADD_WHERE_THERE.count(connection, *_values(upload, now)) > 0


def hold_upload(connection: Connection, key: str, held: int, content: bytes, now: float) -> bool:
    """Keep all bytes of a session in its row; False where it is gone, or no longer holds `held` bytes there."""
    return _HOLD_UPLOAD.count(connection, key, held, len(content), content, now) > 0


def hand_over_upload(connection: Connection, key: str, held: int, offset: int, digest: str | None, now: float) -> bool:
    """From now on the upload store has the bytes, `offset` of them; False as with `hold_upload`."""
    return _HAND_OVER.count(connection, key, held, offset, digest, now) > 0


def advance_upload(connection: Connection, key: str, offset: int, digest: str | None, now: float) -> bool:
    """Record how far a session has come in the upload store; False where it is gone."""
    return _ADVANCE_UPLOAD.count(connection, key, offset, digest, now) > 0


def remove_upload(connection: Connection, key: str) -> bool:
    """Forget a session; False where it is gone already, so that of two that finish it one wins."""
    return _REMOVE_UPLOAD.count(connection, key) > 0


def stale_uploads(connection: Connection, before: float, after: Stale, limit: int) -> list[Stale]:
    """Up to `limit` sessions after `after` that nothing was written to since `before`, in order of that time."""
    place = tuple_(uploads.c.updated_at, uploads.c.id)
    statement = select(uploads.c.updated_at, uploads.c.id).where(
        uploads.c.updated_at < before, place > tuple_(literal(after[0], Double), literal(after[1], Text))
    )
    rows = connection.execute(statement.order_by(uploads.c.updated_at, uploads.c.id).limit(limit))
    return [(updated, key) for updated, key in rows]


def open_uploads(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of `keys` that are sessions."""
    found: set[str] = set()
    for some in batches(keys):
        found.update(connection.scalars(select(uploads.c.id).where(uploads.c.id.in_(some))))
    return found


def remove_stale_upload(connection: Connection, key: str, before: float) -> bool:
    """Forget a session unless somebody has written to it since `before`."""
    statement = delete(uploads).where(uploads.c.id == key, uploads.c.updated_at < before)
    return connection.execute(statement).rowcount > 0


def count_uploads(connection: Connection) -> int:
    """How many sessions are open; MOST_COUNTED where there are more: a gauge is not worth a walk over them all."""
    some = select(uploads.c.id).limit(MOST_COUNTED).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


def _values(upload: UploadRow, now: float) -> tuple[object, ...]:
    return (
        upload.id,
        upload.repository,
        upload.algorithm,
        upload.offset,
        upload.digest,
        upload.actor,
        now,
        upload.content,
    )
