"""Queries about counters of limits: one row a counter, which begins anew when its time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import bindparam, case, delete, select

from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables_access import limit_counters

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, Connection, Executable, Select

    from moorage.metadata.prepared import MakeInsert

_VALUE = cast(
    "Select[tuple[object, ...]]",
    select(limit_counters.c.count, limit_counters.c.expires_at).where(limit_counters.c.key == bindparam("key_")),
)
VALUE = Lookup(_VALUE, ("key_",))
"""Count and end of a counter, by its key; an end in the past means that it counts from zero."""


def _add(insert: MakeInsert) -> Executable:
    over = limit_counters.c.expires_at <= bindparam("now_")
    count: BindParameter[int] = bindparam("fresh_")
    ends: BindParameter[float] = bindparam("ends_")
    return (
        insert(limit_counters)
        .values(key=bindparam("key_"), count=count, expires_at=ends)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "count": case((over, count), else_=limit_counters.c.count + bindparam("amount_")),
                "expires_at": case((over, ends), else_=limit_counters.c.expires_at),
            },
        )
        .returning(limit_counters.c.count, limit_counters.c.expires_at)
    )


_ADD = Prepared(_add, "key_", "fresh_", "ends_", "now_", "amount_")


def add(connection: Connection, key: str, amount: int, now: float, seconds: float) -> tuple[int, float]:
    """Count; one statement, so that nothing counted at the same time is lost.

    Args:
        connection: see above.
        key: of the counter.
        amount: to add; less than zero takes back.
        now: the time.
        seconds: how long the counter runs, where this begins it.

    Returns:
        What it stands at now, and when it ends.
    """
    row = _ADD.row(connection, key, max(amount, 0), now + seconds, now, amount)
    if row is None:
        raise AssertionError("INSERT ... RETURNING gives a row")
    return int(row[0]), float(row[1])


def forget(connection: Connection, key: str) -> None:
    """Remove a counter."""
    connection.execute(delete(limit_counters).where(limit_counters.c.key == key))


def forget_all(connection: Connection) -> int:
    """Remove all counters; returns how many there were."""
    return connection.execute(delete(limit_counters)).rowcount


def trim(connection: Connection, now: float, limit: int) -> int:
    """Remove up to `limit` counters whose time is over; returns how many.

    One that is counted with at this moment is left for later: it begins anew, and waiting for it with others in hand
    could make the one who counts wait for these.
    """
    ended = select(limit_counters.c.key).where(limit_counters.c.expires_at <= now)
    some = ended.order_by(limit_counters.c.expires_at).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(delete(limit_counters).where(limit_counters.c.key.in_(some))).rowcount
