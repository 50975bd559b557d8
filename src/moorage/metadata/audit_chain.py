"""Queries about the chain of the audit log: sealing, reading along it, and cutting off its oldest part."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import bindparam, delete, func, insert, select, update

from moorage.core.access import SYSTEM
from moorage.core.audit import OK, AuditEntry
from moorage.metadata.audit import record
from moorage.metadata.dialects import insert as upsert
from moorage.metadata.tables import repositories
from moorage.metadata.tables_access import audit, audit_anchors, audit_marks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection

BEGINNING = "0" * 64
"""What stands before the first entry of all."""

HEAD = "head"
TRIM = "audit.trim"
"""The action of the entry that tells of a cut."""

_COLUMNS = (
    audit.c.id,
    audit.c.at,
    audit.c.action,
    audit.c.outcome,
    audit.c.actor_kind,
    audit.c.actor,
    audit.c.credential,
    audit.c.address,
    audit.c.request_id,
    audit.c.target_kind,
    audit.c.target,
    audit.c.project_id,
    audit.c.detail,
    audit.c.sequence,
    audit.c.hash,
)


class Row(NamedTuple):
    """An entry of the audit log as it is kept.

    Attributes:
        detail: JSON, as it was written.
        sequence, hash: its place in the chain; None until it is sealed.
    """

    id: int
    at: float
    action: str
    outcome: str
    actor_kind: str
    actor: str
    credential: str
    address: str
    request_id: str
    target_kind: str
    target: str
    project_id: int | None
    detail: str
    sequence: int | None
    hash: str | None


class Mark(NamedTuple):
    """A place in the chain: the entry `sequence` has this hash; 0 is before the first one."""

    sequence: int
    hash: str


class Anchor(NamedTuple):
    """Where retention cut: the last entry that it removed, its time, and how many are gone altogether."""

    sequence: int
    hash: str
    at: float
    removed: int


def columns() -> tuple[ColumnElement[Any], ...]:
    """What to select for a `Row`."""
    return _COLUMNS


def link(previous: str, row: Row) -> str:
    """The hash of an entry that follows one with the hash `previous`: 64 hex digits.

    SHA-256 of that hash and of the entry as a JSON array in UTF-8 without blanks: id, at, action, outcome, actor_kind,
    actor, credential, address, request_id, target_kind, target, project_id, detail (as text). The sequence is not in
    it: what comes after what is said by the hashes alone.
    """
    return hashlib.sha256(previous.encode() + b"\n" + orjson.dumps(row[:13])).hexdigest()


def projects_of(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """The projects of those of the repositories that are there."""
    found: dict[str, int] = {}
    wanted = sorted(names)
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        query = select(repositories.c.name, repositories.c.project_id).where(repositories.c.name.in_(some))
        found.update((name, project) for name, project in connection.execute(query))
    return found


def head(connection: Connection, *, lock: bool = False) -> Mark:
    """The newest sealed entry.

    Args:
        connection: see above.
        lock: keep all others from moving it until the transaction ends. (SQLite has one writer anyway.)
    """
    query = select(audit_marks.c.sequence, audit_marks.c.hash).where(audit_marks.c.name == HEAD)
    row = connection.execute(query.with_for_update() if lock else query).one()
    return Mark(row.sequence, row.hash)


def seal(connection: Connection, now: float, limit: int) -> int:
    """Chain up to `limit` entries that are not yet; returns how many. Who comes second waits and goes on after that."""
    last = head(connection, lock=True)
    query = select(*columns()).where(audit.c.sequence.is_(None), audit.c.id > 0).order_by(audit.c.id).limit(limit)
    sealed: list[dict[str, object]] = []
    for found in connection.execute(query):
        row = Row._make(found)
        last = Mark(last.sequence + 1, link(last.hash, row))
        sealed.append({"id_": row.id, "sequence_": last.sequence, "hash_": last.hash})
    if sealed:
        statement = update(audit).where(audit.c.id == bindparam("id_"))
        connection.execute(statement.values(sequence=bindparam("sequence_"), hash=bindparam("hash_")), sealed)
        forward = {"sequence": last.sequence, "hash": last.hash, "at": now}
        connection.execute(update(audit_marks).where(audit_marks.c.name == HEAD).values(forward))
    return len(sealed)


def mark(connection: Connection, name: str, place: Mark, now: float) -> None:
    """Write down how far `name` has come; not for `head`, which only the sealer moves."""
    values = {"sequence": place.sequence, "hash": place.hash, "at": now}
    statement = upsert(connection, audit_marks).values(name=name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def marked(connection: Connection, name: str) -> Mark | None:
    """How far `name` has come; None where it never began."""
    query = select(audit_marks.c.sequence, audit_marks.c.hash).where(audit_marks.c.name == name)
    row = connection.execute(query).first()
    return Mark(row.sequence, row.hash) if row is not None else None


def newest_anchor(connection: Connection) -> Anchor | None:
    """Where retention cut last; None where nothing was ever removed."""
    query = select(audit_anchors).where(audit_anchors.c.sequence > 0).order_by(audit_anchors.c.sequence.desc())
    row = connection.execute(query.limit(1)).first()
    return Anchor(row.sequence, row.hash, row.at, row.removed) if row is not None else None


def chained(connection: Connection, after: int, limit: int) -> list[Row]:
    """Sealed entries in the order of the chain, after the one with that sequence."""
    query = select(*columns()).where(audit.c.sequence > after).order_by(audit.c.sequence).limit(limit)
    return [Row._make(found) for found in connection.execute(query)]


def has_unsealed(connection: Connection) -> bool:
    """Whether an entry waits for the sealer."""
    query = select(audit.c.id).where(audit.c.sequence.is_(None), audit.c.id > 0).limit(1)
    return connection.execute(query).first() is not None


def unsealed(connection: Connection) -> tuple[int, float | None]:
    """How many entries wait for the sealer, and since when the oldest does."""
    query = select(func.count(), func.min(audit.c.at)).where(audit.c.sequence.is_(None))
    count, since = connection.execute(query).one()
    return int(count), since


def cut(connection: Connection, before: float, limit: int, now: float) -> int:
    """Remove up to `limit` of the oldest entries, if they are older than `before`; returns how many.

    Only from the beginning of the chain up to the first entry that stays, so that the rest is in one piece and
    verifies from the anchor on. The anchor, the entry that tells of the removal and the removal are one transaction,
    in this order: the database refuses an anchor that no entry tells of, and a removal that no anchor gives up.
    """
    anchor = newest_anchor(connection)
    rows = _oldest(connection, before, limit)
    if not rows:
        return 0
    last, at = rows[-1][0], rows[-1][1]
    told: dict[str, object] = {"removed": len(rows), "last": last.sequence}
    record(connection, AuditEntry(TRIM, OK, SYSTEM, "system", "audit", detail=told), now)
    removed = len(rows) + (anchor.removed if anchor else 0)
    connection.execute(insert(audit_anchors).values(sequence=last.sequence, hash=last.hash, at=at, removed=removed))
    connection.execute(delete(audit_anchors).where(audit_anchors.c.sequence < last.sequence))
    connection.execute(delete(audit).where(audit.c.sequence <= last.sequence))
    return len(rows)


def untold_cut(connection: Connection) -> Anchor | None:
    """Where the log was cut last, if no entry tells of it, as one does of each cut that retention made."""
    anchor = newest_anchor(connection)
    while anchor is not None and not _is_told(connection, anchor):
        newer = newest_anchor(connection)
        if newer == anchor:
            return anchor
        anchor = newer  # retention went by, and took the entry with it
    return None


def _is_told(connection: Connection, anchor: Anchor) -> bool:
    query = select(audit.c.id).where(
        audit.c.target_kind == "system",
        audit.c.target == "audit",
        audit.c.action == TRIM,
        audit.c.detail.endswith(f'"last":{anchor.sequence}}}', autoescape=True),
    )
    return connection.execute(query.limit(1)).first() is not None


def _oldest(connection: Connection, before: float, limit: int) -> Sequence[tuple[Mark, float]]:
    query = select(audit.c.sequence, audit.c.hash, audit.c.at).where(audit.c.sequence > 0)
    rows: list[tuple[Mark, float]] = []
    for sequence, digest, at in connection.execute(query.order_by(audit.c.sequence).limit(limit)):
        if at >= before:
            break
        rows.append((Mark(sequence, digest), at))
    return rows
