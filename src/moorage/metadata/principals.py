"""What hangs on a user, a group or a robot without a foreign key, because one column names all three."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from moorage.metadata.tables_access import grants, projects

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class RobotGrant:
    """Something that a new robot may do; see `tables_access.grants`.

    Attributes:
        project_id: where.
        pattern: which repositories there, a glob of full names; empty for all.
        role: one of `ROLES`, or empty where `actions` says it.
        actions: words with commas between, or empty.
    """

    project_id: int
    pattern: str
    role: str
    actions: str


def project_id_of(connection: Connection, name: str) -> int | None:
    """The id of a project; None where there is none."""
    found: int | None = connection.execute(select(projects.c.id).where(projects.c.name == name)).scalar()
    return found


def grant_to_robot(connection: Connection, robot_id: int, grant: RobotGrant, by: str, now: float) -> None:
    """Allow a robot something."""
    values = {
        **asdict(grant),
        "principal_kind": "robot",
        "principal_id": robot_id,
        "effect": "allow",
        "created_at": now,
        "created_by": by,
        "version": 1,
    }
    connection.execute(insert(grants).values(values))


def remove_grants_of(connection: Connection, kind: str, row: int) -> int:
    """Remove all grants of a principal (`user`, `group` or `robot`); how many."""
    where = (grants.c.principal_kind == kind, grants.c.principal_id == row)
    return connection.execute(delete(grants).where(*where)).rowcount
