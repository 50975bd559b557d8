"""Queries about projects: path prefixes that repositories belong to.

A repository belongs to the project with the longest name that is a prefix of its own at a slash, or equal to it. That
is written down in `repositories.project_id`, and kept right by whoever makes a repository or a project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, bindparam, delete, func, or_, select, text, update

from moorage.metadata.database import Lookup
from moorage.metadata.pages import in_page, insert_new
from moorage.metadata.tables import repositories, tags
from moorage.metadata.tables_access import grants, projects, robots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection

    from moorage.metadata.pages import Page

ROOT = 1
"""The id of the project above all others; its name is empty."""

INHERIT, PUBLIC, PRIVATE = "inherit", "public", "private"
NO, REPOSITORIES, PROJECTS = "no", "repositories", "projects"

_LOCK = 0x6D6F6F73
_COLUMNS = (
    projects.c.id,
    projects.c.name,
    projects.c.description,
    projects.c.visibility,
    projects.c.create_on_push,
    projects.c.public,
    projects.c.created_at,
    projects.c.created_by,
    projects.c.version,
)

BINDING = Lookup(
    select(repositories.c.project_id, repositories.c.id).where(repositories.c.name == bindparam("name", type_=Text)),
    ("name",),
    kept=True,
)
"""name of a repository -> its project's id, its own id."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    Attributes:
        name: a path prefix; empty for the root.
        visibility: `inherit`, `public` or `private`; `public` is what that comes to.
        create_on_push: what a push may make below it: `inherit`, `no`, `repositories` or `projects`.
        created_at: seconds since 1970.
        version: counts up with every change.
    """

    id: int
    name: str
    description: str
    visibility: str
    create_on_push: str
    public: bool
    created_at: float
    created_by: str
    version: int


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project to be made; see `Project`."""

    name: str
    description: str = ""
    visibility: str = INHERIT
    create_on_push: str = INHERIT
    created_by: str = ""


def prefixes(name: str) -> list[str]:
    """The names of all projects that could hold a repository (or project) of this name, the root's first."""
    parts = name.split("/") if name else []
    return ["", *("/".join(parts[:count]) for count in range(1, len(parts) + 1))]


def is_within(name: str, project: str) -> bool:
    """Whether a name lies in a project, or is its own."""
    return not project or name == project or name.startswith(f"{project}/")


def hold_projects(connection: Connection, *, alone: bool) -> None:
    """Until the transaction ends, nobody makes or removes a project; with `alone`, nobody makes a repository either.

    On SQLite one writes at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(text(f"SELECT {lock}({_LOCK})"))


def chain_of(connection: Connection, name: str) -> list[Project]:
    """The projects that hold a name, the root first, the innermost last."""
    statement = select(*_COLUMNS).where(projects.c.name.in_(prefixes(name))).order_by(func.length(projects.c.name))
    return [Project(*row) for row in connection.execute(statement)]


def project_of(connection: Connection, name: str) -> int:
    """The id of the innermost project that holds a name, whether there is a repository of that name or not."""
    statement = select(projects.c.id).where(projects.c.name.in_(prefixes(name)))
    innermost = statement.order_by(func.length(projects.c.name).desc()).limit(1)
    return int(connection.execute(innermost).scalar_one())


def find_project(connection: Connection, row: int, *, hold: bool = False) -> Project | None:
    """A project by id; with `hold` nobody else changes it until the transaction ends."""
    statement = select(*_COLUMNS).where(projects.c.id == row)
    found = connection.execute(statement.with_for_update() if hold else statement).first()
    return Project(*found) if found is not None else None


def find_project_by_name(connection: Connection, name: str) -> Project | None:
    """A project by its name."""
    found = connection.execute(select(*_COLUMNS).where(projects.c.name == name)).first()
    return Project(*found) if found is not None else None


def list_projects(connection: Connection, page: Page) -> list[Project]:
    """Projects in the order of their names; the root, whose name is empty, is in no list."""
    return [Project(*row) for row in connection.execute(in_page(select(*_COLUMNS), projects.c.name, page))]


def list_public_projects(connection: Connection, page: Page) -> list[Project]:
    """Projects that everybody may see, in the order of their names."""
    statement = select(*_COLUMNS).where(projects.c.public.is_(True))
    return [Project(*row) for row in connection.execute(in_page(statement, projects.c.name, page))]


def add_project(connection: Connection, new: NewProject, now: float) -> int | None:
    """Make a project; its repositories, which were its parent's so far, become its own. None: the name is taken."""
    hold_projects(connection, alone=True)
    parent = chain_of(connection, new.name)[-1]
    values = {
        "name": new.name,
        "description": new.description,
        "visibility": new.visibility,
        "create_on_push": new.create_on_push,
        "public": parent.public if new.visibility == INHERIT else new.visibility == PUBLIC,
        "settings": "{}",
        "created_at": now,
        "created_by": new.created_by,
        "version": 1,
    }
    made = insert_new(connection, projects, values, projects.c.id)
    if made is not None:
        _hand_over(connection, parent.id, made, new.name)
        _show(connection, made, public=bool(values["public"]))
        _spread(connection, new.name, public=bool(values["public"]))
    return made


def change_project(connection: Connection, row: int, values: Mapping[str, Any]) -> None:
    """Set columns of a project; a new `visibility` counts for everything below that inherits it."""
    hold_projects(connection, alone=True)
    statement = update(projects).where(projects.c.id == row)
    connection.execute(statement.values({**values, "version": projects.c.version + 1}))
    if "visibility" in values:
        name = str(connection.execute(select(projects.c.name).where(projects.c.id == row)).scalar_one())
        above = chain_of(connection, name)[:-1]
        chosen = values["visibility"]
        public = (bool(above) and above[-1].public) if chosen == INHERIT else chosen == PUBLIC
        connection.execute(update(projects).where(projects.c.id == row).values(public=public))
        _show(connection, row, public=public)
        _spread(connection, name, public=public)


def remove_project(connection: Connection, project: Project) -> None:
    """Remove a project with its grants and robots; repositories and projects below it become its parent's.

    What its robots were granted in projects below goes with them.
    """
    hold_projects(connection, alone=True)
    mine = select(robots.c.id).where(robots.c.project_id == project.id)
    connection.execute(mine.with_for_update())  # nobody grants them anything any more
    connection.execute(delete(grants).where(grants.c.principal_kind == "robot", grants.c.principal_id.in_(mine)))
    parent = chain_of(connection, project.name)[-2]
    theirs = repositories.c.project_id == project.id
    moved = update(repositories).where(theirs).values(project_id=parent.id, public=parent.public)
    connection.execute(moved)
    connection.execute(delete(projects).where(projects.c.id == project.id))
    _spread(connection, project.name, public=parent.public)


def has_repositories(connection: Connection, row: int) -> bool:
    """Whether a project holds any, not counting those of projects below it."""
    statement = select(repositories.c.id).where(repositories.c.project_id == row).limit(1)
    return connection.execute(statement).first() is not None


def remove_repositories(connection: Connection, row: int, limit: int) -> list[str]:
    """Remove up to `limit` repositories of a project with manifests, tags and links; their names."""
    statement = select(repositories.c.id, repositories.c.name).where(repositories.c.project_id == row)
    found = connection.execute(statement.order_by(repositories.c.name).limit(limit)).all()
    ids = [each[0] for each in found]
    # Tags hold on to their manifests, so they go first.
    connection.execute(delete(tags).where(tags.c.repository_id.in_(ids)))
    connection.execute(delete(repositories).where(repositories.c.id.in_(ids)))
    return [str(each[1]) for each in found]


def subtree(column: ColumnElement[Any], project: str) -> ColumnElement[bool]:
    """The condition that a name lies in a project or is its own: two ranges of an index. `0` comes after `/`."""
    if not project:
        return column >= ""
    return or_(column == project, and_(column > f"{project}/", column < f"{project}0"))


def _hand_over(connection: Connection, parent: int, made: int, name: str) -> None:
    theirs = (repositories.c.project_id == parent, subtree(repositories.c.name, name))
    connection.execute(update(repositories).where(*theirs).values(project_id=made))


def _show(connection: Connection, row: int, *, public: bool) -> None:
    """Tell the repositories of a project whether everybody may see them."""
    connection.execute(update(repositories).where(repositories.c.project_id == row).values(public=public))


def _spread(connection: Connection, name: str, *, public: bool) -> None:
    """Work out anew what is public below a project."""
    below = projects.c.name > "" if not name else and_(projects.c.name > f"{name}/", projects.c.name < f"{name}0")
    statement = select(projects.c.id, projects.c.name, projects.c.visibility, projects.c.public).where(below)
    known = {name: public}
    for row, child, visibility, before in connection.execute(statement.order_by(func.length(projects.c.name))).all():
        above = next(known[prefix] for prefix in reversed(prefixes(child)[:-1]) if prefix in known)
        known[child] = above if visibility == INHERIT else visibility == PUBLIC
        if known[child] != before:
            connection.execute(update(projects).where(projects.c.id == row).values(public=known[child]))
            _show(connection, row, public=known[child])
