"""What a robot is allowed when it is made: checked here, and looked up among the projects that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.accounts.wanted_grants import check_glob, checked_actions
from moorage.core.access import DELETE, OVERWRITE, PULL, PUSH
from moorage.core.errors import Invalid
from moorage.metadata.grants import ALLOW, NewGrant
from moorage.metadata.projects import find_project_by_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_PERMISSIONS = 50
_ACTIONS = (PULL, PUSH, OVERWRITE, DELETE)


@dataclass(frozen=True, slots=True)
class RobotPermission:
    """Something that a new robot is to be allowed.

    Attributes:
        project: by name; None for the robot's own, which for a robot of the system is the root of all.
        pattern: which repositories there, a glob of full names; empty for all.
        role: reader, writer, maintainer or admin; empty where actions are given.
        actions: of pull, push, overwrite and delete.
    """

    project: str | None = None
    pattern: str = ""
    role: str = ""
    actions: tuple[str, ...] = ()


def check_permissions(robot: str, project: str, wanted: tuple[RobotPermission, ...]) -> None:
    """Refuse permissions that cannot be.

    Args:
        robot: its full name.
        project: its project; empty for one of the system.
        wanted: the permissions.

    Raises:
        Invalid: outside of the project, no role and no actions, or too many.
    """
    if len(wanted) > MOST_PERMISSIONS:
        raise Invalid(f"A robot is made with at most {MOST_PERMISSIONS} permissions; a glob covers many repositories.")
    for permission in wanted:
        where = project if permission.project is None else permission.project
        if project and where != project and not where.startswith(f"{project}/"):
            raise Invalid(f"{robot} belongs to {project}; it can be allowed nothing outside of that.")
        check_glob(permission.pattern)
        checked_actions(permission.role, permission.actions, _ACTIONS)


def as_grant(connection: Connection, robot: int, project: str, permission: RobotPermission, by: str) -> NewGrant:
    """A checked permission as a grant for a robot.

    Args:
        connection: to look the project up.
        robot: its id.
        project: its project; empty for one of the system.
        permission: what it is to be allowed.
        by: who allows it.

    Raises:
        Invalid: there is no such project.
    """
    where = project if permission.project is None else permission.project
    found = find_project_by_name(connection, where)
    if found is None:
        raise Invalid(f"There is no project {where!r}.")
    actions = checked_actions(permission.role, permission.actions, _ACTIONS)
    return NewGrant(found.id, permission.pattern, "robot", robot, ALLOW, permission.role, actions, "", by, None)
