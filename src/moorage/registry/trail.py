"""What the audit log gets to know of a push, a mount and a deletion, in the transaction of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.audit import OK, AuditEntry
from moorage.metadata.audit import record
from moorage.metadata.repositories import find_repository, make_repository, place_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.access import Caller


class Trail:
    """Writes entries where the audit log is on.

    Args:
        on: whether it is.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def place(self, connection: Connection, name: str, caller: Caller, now: float) -> int:
        """The id of the repository that is pushed to, made where it is not there yet.

        Raises:
            Denied: its project does not let pushes make any.
        """
        found = find_repository(connection, name)
        if found is not None:
            return found
        made = make_repository(connection, name, now, caller.name)
        if made.project and self._on:
            detail: dict[str, object] = {"push": name}
            entry = AuditEntry("project.create", OK, caller, "project", made.project, made.project_id, detail)
            record(connection, entry, now)
        return made.id

    def note(
        self, connection: Connection, action: str, caller: Caller, name: str, now: float, **detail: object
    ) -> None:
        """Write down that `caller` did `action` in the repository `name`."""
        if not self._on:
            return
        place = place_of(connection, name)
        project = place[1] if place is not None else None
        record(connection, AuditEntry(action, OK, caller, "repository", name, project, detail), now)
