"""Queries about robots and their secrets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, or_, select, update

from moorage.metadata.pages import Page, in_page, insert_new
from moorage.metadata.tables_access import projects, refresh_tokens, robot_secrets, robots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Select

_COLUMNS = (
    robots.c.id,
    robots.c.name,
    robots.c.project_id,
    projects.c.name,
    robots.c.description,
    robots.c.disabled,
    robots.c.created_at,
    robots.c.created_by,
    robots.c.expires_at,
    robots.c.last_used_at,
    robots.c.version,
)
_JOINED = robots.outerjoin(projects, projects.c.id == robots.c.project_id)


@dataclass(frozen=True, slots=True)
class RobotSecret:
    """That there is a secret, and how long (seconds since 1970; None: as long as the robot); not what it is."""

    id: int
    created_at: float
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Robot:
    """A service account.

    Attributes:
        name: `<project>+<name>`, or `+<name>` for one of the system.
        project_id, project: where it belongs; None for one of the system.
        created_at, expires_at, last_used_at: seconds since 1970.
        version: counts up with every change.
        secrets: what it can log in with; two while one is being rotated.
    """

    id: int
    name: str
    project_id: int | None
    project: str | None
    description: str
    disabled: bool
    created_at: float
    created_by: str
    expires_at: float | None
    last_used_at: float | None
    version: int
    secrets: tuple[RobotSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class NewRobot:
    """A robot to be made; see `Robot`."""

    name: str
    project_id: int | None
    description: str
    created_by: str
    expires_at: float | None


def find_robot(connection: Connection, row: int, *, hold: bool = False) -> Robot | None:
    """A robot by id, with its secrets; with `hold` nobody else changes it until the transaction ends."""
    if hold:
        connection.execute(select(robots.c.id).where(robots.c.id == row).with_for_update())
    return _one(connection, _select().where(robots.c.id == row))


def find_robot_by_name(connection: Connection, name: str) -> Robot | None:
    """A robot by its full name, with its secrets."""
    return _one(connection, _select().where(robots.c.name == name))


def list_robots(connection: Connection, page: Page) -> list[Robot]:
    """All robots in the order of their names."""
    return _with_secrets(connection, in_page(_select(), robots.c.name, page))


def list_project_robots(connection: Connection, project_id: int, page: Page) -> list[Robot]:
    """The robots of one project, not of those below it, in the order of their names."""
    return _with_secrets(connection, in_page(_select().where(robots.c.project_id == project_id), robots.c.name, page))


def list_system_robots(connection: Connection, page: Page) -> list[Robot]:
    """The robots of the system, in the order of their names."""
    return _with_secrets(connection, in_page(_select().where(robots.c.project_id.is_(None)), robots.c.name, page))


def add_robot(connection: Connection, new: NewRobot, now: float) -> int | None:
    """Make a robot without a secret and return its id; None where the name is taken."""
    values = {
        "name": new.name,
        "project_id": new.project_id,
        "description": new.description,
        "disabled": False,
        "epoch": 1,
        "created_at": now,
        "created_by": new.created_by,
        "expires_at": new.expires_at,
        "version": 1,
    }
    return insert_new(connection, robots, values, robots.c.id)


def change_robot(connection: Connection, row: int, values: Mapping[str, Any], *, end: bool) -> None:
    """Set columns of a robot. With `end`, all that was given out before ends: the epoch goes up."""
    more = {"epoch": robots.c.epoch + 1} if end else {}
    changed = {**values, **more, "version": robots.c.version + 1}
    connection.execute(update(robots).where(robots.c.id == row).values(changed))
    if end:
        connection.execute(delete(refresh_tokens).where(refresh_tokens.c.robot_id == row))


def remove_robot(connection: Connection, row: int) -> None:
    """Remove a robot with its secrets and trust rules; not its grants."""
    connection.execute(delete(robots).where(robots.c.id == row))


def add_secret(connection: Connection, row: int, hashed: str, now: float) -> int | None:
    """Give a robot a secret, by its hash; its id."""
    values = {"robot_id": row, "hash": hashed, "created_at": now, "expires_at": None}
    return insert_new(connection, robot_secrets, values, robot_secrets.c.id)


def end_secrets(connection: Connection, row: int, keep: int | None, until: float, now: float) -> int:
    """End a robot's secrets: `keep` at `until` at the latest, all others at once.

    Returns:
        How many were removed at once.
    """
    alive = robot_secrets.c.robot_id == row
    others = (alive, robot_secrets.c.id != keep) if keep is not None and until > now else (alive,)
    gone = connection.execute(delete(robot_secrets).where(*others)).rowcount
    later = or_(robot_secrets.c.expires_at.is_(None), robot_secrets.c.expires_at > until)
    connection.execute(update(robot_secrets).where(alive, later).values(expires_at=until))
    return gone


def newest_secret(connection: Connection, row: int, now: float) -> int | None:
    """The id of the newest secret that has not ended."""
    alive = or_(robot_secrets.c.expires_at.is_(None), robot_secrets.c.expires_at > now)
    statement = select(robot_secrets.c.id).where(robot_secrets.c.robot_id == row, alive)
    return max(connection.scalars(statement), default=None)  # there are two at most


def _select() -> Select[Any]:
    return select(*_COLUMNS).select_from(_JOINED)


def _one(connection: Connection, statement: Select[Any]) -> Robot | None:
    found = _with_secrets(connection, statement)
    return found[0] if found else None


def _with_secrets(connection: Connection, statement: Select[Any]) -> list[Robot]:
    rows = connection.execute(statement).all()
    secrets = _secrets(connection, [row[0] for row in rows]) if rows else {}
    return [replace(Robot(*row), secrets=tuple(secrets.get(row[0], ()))) for row in rows]


def _secrets(connection: Connection, wanted: Iterable[int]) -> dict[int, list[RobotSecret]]:
    table = robot_secrets.c
    statement = select(table.robot_id, table.id, table.created_at, table.expires_at)
    found: dict[int, list[RobotSecret]] = {}
    for robot, *values in connection.execute(statement.where(table.robot_id.in_(list(wanted))).order_by(table.id)):
        found.setdefault(robot, []).append(RobotSecret(*values))
    return found
