"""Queries for reading the audit log: in the order of ids, a page at a time, with a few filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from moorage.metadata.audit_chain import Row, columns
from moorage.metadata.tables_access import audit

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

_AROUND = 1000
"""Entries near an instant that are looked at: their ids may be in another order than their times by a second or so."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; what is None or empty does not narrow.

    Attributes:
        actor: name of who did it.
        action: such as `manifest.push`; with a dot at the end, `manifest.`, all that begins with it.
        outcome: `ok`, `refused` or `failed`.
        target_kind, target: what it was done to; a target needs a kind.
        project_id: only what belongs to that project.
        since, until: seconds since 1970; from the first on and before the second.
    """

    actor: str = ""
    action: str = ""
    outcome: str = ""
    target_kind: str = ""
    target: str = ""
    project_id: int | None = None
    since: float | None = None
    until: float | None = None

    @property
    def indexed(self) -> bool:
        """Whether an index leads to the entries, so that none has to be read in vain."""
        plain = not (self.action or self.outcome or self.since is not None or self.until is not None)
        return plain or bool(self.actor or self.target or self.project_id is not None)


def bounds(connection: Connection, wanted: AuditFilter) -> tuple[int, int]:
    """The least and the greatest id that may be wanted; (1, 0) where none is."""
    low, high = 1, connection.execute(select(func.max(audit.c.id))).scalar() or 0
    if wanted.since is not None:
        near = select(audit.c.id).where(audit.c.at >= wanted.since).order_by(audit.c.at).limit(_AROUND)
        ids = connection.execute(near).scalars().all()
        if not ids:
            return 1, 0
        low = min(ids)
    if wanted.until is not None:
        near = select(audit.c.id).where(audit.c.at < wanted.until).order_by(audit.c.at.desc()).limit(_AROUND)
        ids = connection.execute(near).scalars().all()
        if not ids:
            return 1, 0
        high = max(ids)
    return low, high


def entries(
    connection: Connection, wanted: AuditFilter, low: int, high: int, limit: int, *, newest_first: bool
) -> list[Row]:
    """Up to `limit` entries with ids from `low` to `high`."""
    query = select(*columns()).where(audit.c.id.between(low, high), *_conditions(wanted))
    ordered = query.order_by(audit.c.id.desc() if newest_first else audit.c.id)
    return [Row._make(found) for found in connection.execute(ordered.limit(limit))]


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.actor:
        found.append(audit.c.actor == wanted.actor)
    if wanted.action.endswith("."):
        found.append(audit.c.action.startswith(wanted.action, autoescape=True))
    elif wanted.action:
        found.append(audit.c.action == wanted.action)
    if wanted.outcome:
        found.append(audit.c.outcome == wanted.outcome)
    if wanted.target_kind:
        found.append(audit.c.target_kind == wanted.target_kind)
    if wanted.target:
        found.append(audit.c.target == wanted.target)
    if wanted.project_id is not None:
        found.append(audit.c.project_id == wanted.project_id)
    if wanted.since is not None:
        found.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        found.append(audit.c.at < wanted.until)
    return found
