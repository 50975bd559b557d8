"""Queries about repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, select

from moorage.core.errors import Denied
from moorage.metadata.prepared import Prepared
from moorage.metadata.projects import (
    INHERIT,
    NO,
    PROJECTS,
    REPOSITORIES,
    NewProject,
    add_project,
    chain_of,
    hold_projects,
    prefixes,
)
from moorage.metadata.tables import repositories

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.metadata.projects import Project

_FIND = Prepared(lambda _: select(repositories.c.id).where(repositories.c.name == bindparam("name_")), "name_")
_ADD = Prepared(
    lambda insert: (
        insert(repositories)
        .values(
            name=bindparam("name_"),
            created_at=bindparam("now_"),
            project_id=bindparam("project_"),
            public=bindparam("public_"),
        )
        .on_conflict_do_nothing(index_elements=["name"])
    ),
    "name_",
    "now_",
    "project_",
    "public_",
)
_PLACE = Prepared(
    lambda _: select(repositories.c.id, repositories.c.project_id).where(repositories.c.name == bindparam("name_")),
    "name_",
)


class Made(NamedTuple):
    """A repository that was made.

    Attributes:
        id: its own.
        project_id: of the project that it belongs to.
        project: the name of the project that was made with it; empty where there was one.
    """

    id: int
    project_id: int
    project: str


def find_repository(connection: Connection, name: str) -> int | None:
    """The id of a repository, or None where nothing was ever pushed to that name."""
    found = _FIND.row(connection, name)
    return int(found[0]) if found is not None else None


def place_of(connection: Connection, name: str) -> tuple[int, int] | None:
    """The ids of a repository and of its project, or None where nothing was ever pushed to that name."""
    found = _PLACE.row(connection, name)
    return (int(found[0]), int(found[1])) if found is not None else None


def ensure_repository(connection: Connection, name: str, now: float) -> int:
    """The id of a repository, made where it is not there yet; 16 first pushes at once all get the same one.

    Raises:
        Denied: it is not there, and its project does not let pushes make any.
    """
    found = find_repository(connection, name)
    return found if found is not None else make_repository(connection, name, now).id


def make_repository(connection: Connection, name: str, now: float, by: str = "") -> Made:
    """Make a repository where the innermost project lets pushes do so, and the project that it wants made with it.

    Args:
        connection: of a transaction that has not locked anything that a change of projects could want.
        name: of the repository; one that was made meanwhile is as good.
        now: seconds since 1970.
        by: who pushes.

    Raises:
        Denied: `create_on_push` says no.
    """
    wanted = _on_push(chain_of(connection, name))
    hold_projects(connection, alone=wanted == PROJECTS)
    chain = chain_of(connection, name)
    rule, project = _checked(chain, name), ""
    if rule == PROJECTS and chain[-1].name != name:
        project = "/".join(name.split("/")[: len(prefixes(chain[-1].name))])
        # Below it a push makes repositories, not one project in the other.
        add_project(connection, NewProject(project, create_on_push=REPOSITORIES, created_by=by), now)
        chain = chain_of(connection, name)
    _ADD.count(connection, name, now, chain[-1].id, chain[-1].public)
    found = find_repository(connection, name)
    if found is None:
        raise LookupError(name)
    return Made(found, chain[-1].id, project)


def check_makeable(connection: Connection, name: str) -> None:
    """May a push make this repository, as things are now?

    Raises:
        Denied: `create_on_push` says no.
    """
    _checked(chain_of(connection, name), name)


def _checked(chain: list[Project], name: str) -> str:
    rule = _on_push(chain)
    if rule == NO:
        raise Denied(
            "No push makes a repository here (create_on_push of the project); ask one of its admins to allow it.",
            {"name": name, "project": chain[-1].name},
        )
    return rule


def _on_push(chain: list[Project]) -> str:
    """What a push may make, as the innermost project says that does not leave it to the one above."""
    return next((project.create_on_push for project in reversed(chain) if project.create_on_push != INHERIT), NO)


def list_repositories(connection: Connection, after: str, limit: int) -> list[str]:
    """Up to `limit` names after `after`, in byte order."""
    statement = select(repositories.c.name).where(repositories.c.name > after)
    return list(connection.scalars(statement.order_by(repositories.c.name).limit(limit)))
