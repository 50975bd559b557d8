"""Queries about the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from sqlalchemy import bindparam

from moorage.metadata.prepared import Prepared
from moorage.metadata.tables_access import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.audit import AuditEntry

_COLUMNS = (
    "at",
    "action",
    "outcome",
    "actor_kind",
    "actor",
    "credential",
    "address",
    "request_id",
    "target_kind",
    "target",
    "project_id",
    "detail",
)
_RECORD = Prepared(
    lambda insert: insert(audit).values({name: bindparam(f"{name}_") for name in _COLUMNS}),
    *(f"{name}_" for name in _COLUMNS),
)


def record(connection: Connection, entry: AuditEntry, now: float) -> None:
    """Write an entry, in the transaction of what it tells of; it is sealed into the chain soon after."""
    caller = entry.caller
    _RECORD.count(
        connection,
        now,
        entry.action,
        entry.outcome,
        caller.identity.kind,
        caller.identity.name,
        caller.identity.credential,
        caller.address,
        caller.request_id,
        entry.target_kind,
        entry.target,
        entry.project_id,
        orjson.dumps(entry.detail, default=str).decode(),
    )
