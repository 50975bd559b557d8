"""The outbox: what happened, written in the transaction of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from sqlalchemy import bindparam, delete, select

from moorage.metadata.prepared import Prepared
from moorage.metadata.tables import events

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.events import Event

_TELL = Prepared(
    lambda insert: insert(events).values(
        at=bindparam("now_"),
        action=bindparam("action_"),
        repository=bindparam("repository_"),
        payload=bindparam("payload_"),
    ),
    "now_",
    "action_",
    "repository_",
    "payload_",
)


def tell(connection: Connection, event: Event, now: float) -> None:
    """Write an event into the outbox."""
    _TELL.count(connection, now, event.action, event.repository, orjson.dumps(event).decode())


def trim(connection: Connection, before: float, limit: int) -> int:
    """Remove up to `limit` events older than `before`; return how many."""
    oldest = select(events.c.id).where(events.c.at < before).order_by(events.c.at).limit(limit)
    return connection.execute(delete(events).where(events.c.id.in_(oldest))).rowcount
