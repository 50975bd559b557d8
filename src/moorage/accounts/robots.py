"""Robots: accounts for programs. Those of a project are its admins' business, those of the system the system admins'.

A robot's secret is shown once, when it is made. `rotate` makes another one and lets the one before live on for as long
as the caller says, so that programs can be told one after the other.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from moorage.accounts.handing_out import check_in_place_of
from moorage.accounts.rights import (
    KEEP,
    Keep,
    check_hands_out,
    check_system_admin,
    check_version,
    checked_description,
    checked_expiry,
    is_system_admin,
)
from moorage.accounts.robot_permissions import RobotPermission, as_grant, check_permissions
from moorage.auth.random_secrets import ROBOT, hash_secret, new_secret
from moorage.core.access import ADMIN
from moorage.core.account_names import parse_robot_name, project_of
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.metadata.audit import record
from moorage.metadata.grants import add_grant, remove_grants_of
from moorage.metadata.pages import Page
from moorage.metadata.projects import find_project_by_name
from moorage.metadata.robots import (
    NewRobot,
    Robot,
    add_robot,
    add_secret,
    change_robot,
    end_secrets,
    find_robot,
    find_robot_by_name,
    list_project_robots,
    list_robots,
    list_system_robots,
    newest_secret,
    remove_robot,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.auth.ports import Policy
    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

LONGEST_OVERLAP = 90 * 86400.0
"""Seconds that an old secret may live on beside a new one."""

_UNKNOWN = "There is no such robot, or it is not yours to see."


@dataclass(frozen=True, slots=True)
class MadeRobot:
    """A robot, and for this once its new secret."""

    robot: Robot
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"MadeRobot({self.robot!r})"


@dataclass(frozen=True, slots=True)
class RobotChange:
    """What is to become of a robot; None leaves things as they are, except for `expires_at`, where it means never."""

    description: str | None = None
    disabled: bool | None = None
    expires_at: float | Keep | None = KEEP


class Robots:
    """The use cases of robots.

    Args:
        database: where they are kept.
        clock: for times.
        policy: says who is an admin of which project.
    """

    def __init__(self, database: Database, clock: Clock, policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def create(
        self,
        caller: Caller,
        name: str,
        *,
        description: str = "",
        expires_at: float | None = None,
        permissions: tuple[RobotPermission, ...] = (),
    ) -> MadeRobot:
        """Make a robot with a secret.

        Args:
            caller: an admin of the project that the name tells; of the system for `+name`.
            name: `<project>+<name>` or `+<name>`.
            description: for people.
            expires_at: when it ends, seconds since 1970; None for never.
            permissions: what it may do from the start; more is granted like to everybody else.

        Raises:
            Invalid, NameInvalid: a name, time or permission that cannot be.
            ObjectUnknown: there is no such project, or the caller is no admin of it.
            Denied: a robot of the system, and the caller is no system admin; or a permission that the caller is denied.
            Conflict: the name is taken.
        """
        check_hands_out(caller)
        name, description = parse_robot_name(name), checked_description(description)
        project = project_of(name)
        await self._check_project(caller, project)
        expires_at = checked_expiry(expires_at, self._clock.now())
        check_permissions(name, project, permissions)
        secret = new_secret(ROBOT)

        def change(connection: Connection) -> Robot:
            now = self._clock.now()
            project_id = _project(connection, project)
            row = add_robot(connection, NewRobot(name, project_id, description, caller.name, expires_at), now)
            if row is None:
                raise Conflict(f"There is a robot {name} already.")
            add_secret(connection, row, hash_secret(secret), now)
            for permission in permissions:  # one that is named twice is granted once
                add_grant(connection, as_grant(connection, row, project, permission, caller.name), now)
            check_in_place_of(connection, caller, row, now)
            detail: dict[str, object] = {
                "expires_at": expires_at,
                "permissions": [asdict(each) for each in permissions],
            }
            record(connection, _entry("robot.create", caller, name, project_id, detail), now)
            return _found(connection, row)

        return MadeRobot(await self._database.write(change), secret)

    async def get(self, caller: Caller, row: int) -> Robot:
        """A robot, with the times of its secrets.

        Raises:
            ObjectUnknown: there is none, or the caller is neither an admin of where it belongs nor the robot itself.
        """
        return await self._visible(caller, await self._database.read(lambda connection: find_robot(connection, row)))

    async def find(self, caller: Caller, name: str) -> Robot:
        """A robot by its full name.

        Raises:
            ObjectUnknown: as for `get`.
        """
        found = await self._database.read(lambda connection: find_robot_by_name(connection, name))
        return await self._visible(caller, found)

    async def list(
        self, caller: Caller, *, project: str | None = None, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[Robot]:
        """Robots by name, from behind `after`.

        Args:
            caller: an admin of the project, or of the system.
            project: of which one, by name; empty for those of the system; None for all.
            prefix: only full names that begin with this.
            after: the last name of the page before.
            limit: at most so many.

        Raises:
            ObjectUnknown: there is no such project, or the caller is no admin of it.
            Denied: all, or those of the system, for who is no system admin.
        """
        page = Page(after, limit, prefix)
        if project is None:
            if not is_system_admin(caller):
                raise Denied("Name a project that you are an admin of.")
            return await self._database.read(lambda connection: list_robots(connection, page))
        await self._check_project(caller, project)

        def query(connection: Connection) -> list[Robot]:
            row = _project(connection, project)
            if row is None:
                return list_system_robots(connection, page)
            return list_project_robots(connection, row, page)

        return await self._database.read(query)

    async def change(self, caller: Caller, row: int, wanted: RobotChange, version: int | None = None) -> Robot:
        """Change a robot. Disabling and enabling end all that was given out before.

        Raises:
            ObjectUnknown: as for `get`.
            Denied: a robot asks, itself or another.
            Invalid: a description or time that cannot be.
            PreconditionFailed: the robot has another version.
        """
        await self._manageable(caller, row)
        values = _values(wanted, self._clock.now())

        def change(connection: Connection) -> Robot:
            robot = _found(connection, row, hold=True)
            check_version(version, robot.version)
            real = {name: value for name, value in values.items() if value != getattr(robot, name)}
            if not real:
                return robot
            change_robot(connection, row, real, end="disabled" in real)
            record(connection, _entry("robot.update", caller, robot.name, robot.project_id, real), self._clock.now())
            return _found(connection, row)

        return await self._database.write(change)

    async def rotate(self, caller: Caller, row: int, *, overlap: float = 0.0, version: int | None = None) -> MadeRobot:
        """Give a robot another secret.

        Args:
            caller: an admin of where it belongs.
            row: the robot's id.
            overlap: seconds for which the newest secret so far lives on, all others end at once; 0 ends that, too.
            version: the one that the caller looked at; None for any.

        Raises:
            ObjectUnknown, PreconditionFailed: as for `change`.
            Denied: a robot asks, or the robot may what the caller is denied.
            Invalid: an overlap that cannot be.
        """
        await self._manageable(caller, row)
        if not 0 <= overlap <= LONGEST_OVERLAP:
            raise Invalid(f"The overlap is 0 to {int(LONGEST_OVERLAP)} seconds.")
        secret = new_secret(ROBOT)

        def change(connection: Connection) -> Robot:
            now = self._clock.now()
            robot = _found(connection, row, hold=True)
            check_version(version, robot.version)
            check_in_place_of(connection, caller, row, now)
            end_secrets(connection, row, newest_secret(connection, row, now), now + overlap, now)
            add_secret(connection, row, hash_secret(secret), now)
            change_robot(connection, row, {}, end=overlap == 0)
            detail: dict[str, object] = {"overlap": overlap}
            record(connection, _entry("robot.rotate", caller, robot.name, robot.project_id, detail), now)
            return _found(connection, row)

        return MadeRobot(await self._database.write(change), secret)

    async def delete(self, caller: Caller, row: int, version: int | None = None) -> None:
        """Remove a robot with its secrets, grants and trust rules.

        Raises:
            ObjectUnknown, Denied, PreconditionFailed: as for `change`.
        """
        await self._manageable(caller, row)

        def change(connection: Connection) -> None:
            robot = _found(connection, row, hold=True)
            check_version(version, robot.version)
            detail: dict[str, object] = {"grants": remove_grants_of(connection, "robot", row)}
            remove_robot(connection, row)
            entry = _entry("robot.delete", caller, robot.name, robot.project_id, detail)
            record(connection, entry, self._clock.now())

        await self._database.write(change)

    async def _check_project(self, caller: Caller, project: str) -> None:
        if not project:
            check_system_admin(caller)
        elif not await self._may(caller, project):
            raise ObjectUnknown(f"There is no project {project}, or it is not yours to manage.")

    async def _may(self, caller: Caller, project: str | None) -> bool:
        """Whether the caller manages the robots of a project; None: of the system. Asks the same either way."""
        allowed = await self._policy.allowed(caller.identity, project or "-")
        return is_system_admin(caller) or (bool(project) and ADMIN in allowed)

    async def _visible(self, caller: Caller, robot: Robot | None) -> Robot:
        manages = await self._may(caller, robot.project if robot is not None else None)
        itself = robot is not None and caller.identity.kind == "robot" and caller.identity.id == robot.id
        if robot is None or not (manages or itself):
            raise ObjectUnknown(_UNKNOWN)
        return robot

    async def _manageable(self, caller: Caller, row: int) -> None:
        check_hands_out(caller)
        await self.get(caller, row)


def _found(connection: Connection, row: int, *, hold: bool = False) -> Robot:
    robot = find_robot(connection, row, hold=hold)
    if robot is None:
        raise ObjectUnknown(_UNKNOWN)
    return robot


def _project(connection: Connection, name: str) -> int | None:
    """The id of a robot's project; None for the system."""
    if not name:
        return None
    project = find_project_by_name(connection, name)
    if project is None:
        raise ObjectUnknown(f"There is no project {name}, or it is not yours to manage.")
    return project.id


def _values(wanted: RobotChange, now: float) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if wanted.description is not None:
        values["description"] = checked_description(wanted.description)
    if wanted.disabled is not None:
        values["disabled"] = wanted.disabled
    if not isinstance(wanted.expires_at, Keep):
        values["expires_at"] = checked_expiry(wanted.expires_at, now)
    return values


def _entry(action: str, caller: Caller, name: str, project_id: int | None, detail: dict[str, object]) -> AuditEntry:
    return AuditEntry(action, OK, caller, "robot", name, project_id=project_id, detail=detail)
