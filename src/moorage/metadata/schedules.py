"""Who runs what next: of all workers of all instances, one wins each turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, update

from moorage.metadata.dialects import insert
from moorage.metadata.tables import schedules

if TYPE_CHECKING:
    from sqlalchemy import Connection


def take_turn(connection: Connection, name: str, now: float, interval: float) -> bool:
    """Whether the work `name` is due and this caller is the one to do it; the next turn is `interval` seconds later.

    A turn that lies further ahead than that was planned when the interval was longer, and is due too.
    """
    due = or_(schedules.c.due_at <= now, schedules.c.due_at > now + interval)
    statement = update(schedules).where(schedules.c.name == name, due)
    if connection.execute(statement.values(due_at=now + interval)).rowcount:
        return True
    connection.execute(
        insert(connection, schedules)
        .values(name=name, due_at=now + interval)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    return False


def lease(connection: Connection, name: str, until: float, now: float, seconds: float) -> bool:
    """Whether this caller alone has `name` for the next `seconds`: nobody has it, or it has it until `until` itself.

    Args:
        connection: see above.
        name: what only one may do at a time.
        until: what the caller's last lease gave, its `now + seconds`; 0 where it has none.
        now: the time.
        seconds: for how long.
    """
    free = or_(schedules.c.due_at <= now, schedules.c.due_at == until, schedules.c.due_at > now + seconds)
    statement = update(schedules).where(schedules.c.name == name, free)
    if connection.execute(statement.values(due_at=now + seconds)).rowcount:
        return True
    first = insert(connection, schedules).values(name=name, due_at=now + seconds)
    return bool(connection.execute(first.on_conflict_do_nothing(index_elements=["name"])).rowcount)
