"""Projects: path prefixes with settings, nested; who is an admin of one makes others below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.accounts.decision import decide
from moorage.accounts.handing_out import Handed, check_handed
from moorage.accounts.rights import check_unlimited, check_version, checked_description, is_system_admin
from moorage.accounts.visibility import visible_projects
from moorage.core.access import ADMIN, PULL
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.core.events import Event
from moorage.core.names import parse_name
from moorage.metadata.audit import record
from moorage.metadata.events import tell
from moorage.metadata.grants import EVERYBODY
from moorage.metadata.pages import Page
from moorage.metadata.projects import (
    INHERIT,
    NO,
    PRIVATE,
    PROJECTS,
    PUBLIC,
    REPOSITORIES,
    ROOT,
    NewProject,
    Project,
    add_project,
    chain_of,
    change_project,
    find_project,
    find_project_by_name,
    has_repositories,
    list_projects,
    remove_project,
    remove_repositories,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

VISIBILITIES = (INHERIT, PUBLIC, PRIVATE)
CREATES = (INHERIT, NO, REPOSITORIES, PROJECTS)

AT_ONCE = 20
"""Repositories that are removed in one transaction; others write in between."""

_UNKNOWN = "There is no such project, or it is not yours to see."


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What is to become of a project; None leaves things as they are."""

    description: str | None = None
    visibility: str | None = None
    create_on_push: str | None = None


class Projects:
    """The use cases of projects.

    Args:
        database: where they are kept.
        clock: for times.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        caller: Caller,
        name: str,
        *,
        description: str = "",
        visibility: str = INHERIT,
        create_on_push: str = INHERIT,
    ) -> Project:
        """Make a project; repositories that lie in it become its own.

        Args:
            caller: an admin of the project that it lies in, or of the system.
            name: written like a repository's name.
            description: for people.
            visibility: `inherit`, `public` or `private`.
            create_on_push: what a push may make: `inherit`, `no`, `repositories`, or `projects` too.

        Raises:
            NameInvalid, Invalid: a value that cannot be.
            Denied: the caller is no admin there, or is denied to pull something of what would be public.
            Conflict: the name is taken.
        """
        check_unlimited(caller)
        new = NewProject(
            parse_name(name),
            checked_description(description),
            _one_of("visibility", visibility, VISIBILITIES),
            _one_of("create_on_push", create_on_push, CREATES),
            caller.name,
        )

        def change(connection: Connection) -> Project:
            now = self._clock.now()
            if not _is_admin(connection, caller, new.name, now):
                raise Denied(f"Only an admin of the project that {new.name} lies in may make it.")
            row = add_project(connection, new, now)
            if row is None:
                raise Conflict(f"There is a project {new.name} already.")
            made = self._shown(connection, caller, row)
            detail: dict[str, object] = {"visibility": new.visibility, "create_on_push": new.create_on_push}
            record(connection, _entry("project.create", caller, new.name, row, detail), now)
            return made

        return await self._database.write(change)

    async def get(self, caller: Caller, row: int) -> Project:
        """A project.

        Raises:
            ObjectUnknown: there is none, or the caller may do nothing in it.
        """
        return (await self.rights(caller, row))[0]

    async def rights(self, caller: Caller, row: int) -> tuple[Project, frozenset[str]]:
        """A project, and what the caller may do in it.

        Raises:
            ObjectUnknown: as for `get`.
        """

        def query(connection: Connection) -> tuple[Project, frozenset[str]]:
            return self._seen(connection, caller, find_project(connection, row))

        return await self._database.read(query)

    async def find(self, caller: Caller, name: str) -> Project:
        """A project by its name; an empty one is the root.

        Raises:
            ObjectUnknown: as for `get`.
        """

        def query(connection: Connection) -> Project:
            return self._seen(connection, caller, find_project_by_name(connection, name))[0]

        return await self._database.read(query)

    async def list(self, caller: Caller, *, prefix: str = "", after: str = "", limit: int = 100) -> list[Project]:
        """Projects that the caller may do something in, by name, from behind `after`; not the root."""
        page = Page(after, limit, prefix)
        if is_system_admin(caller):
            return await self._database.read(lambda connection: list_projects(connection, page))
        now = self._clock.now()
        return await self._database.read(lambda connection: visible_projects(connection, caller.identity, page, now))

    async def change(self, caller: Caller, row: int, wanted: ProjectChange, version: int | None = None) -> Project:
        """Change a project; what is nested in it and inherits, changes with it.

        Raises:
            ObjectUnknown: as for `get`.
            Denied: the caller is no admin of it, or is denied to pull something of what would be public.
            Invalid: a value that cannot be.
            PreconditionFailed: the project has another version.
        """
        check_unlimited(caller)
        values = _values(wanted)

        def change(connection: Connection) -> Project:
            project = self._manageable(connection, caller, row)
            check_version(version, project.version)
            if not project.name and INHERIT in (values.get("visibility"), values.get("create_on_push")):
                raise Invalid("The root has nothing above it to inherit from.")
            real = {name: value for name, value in values.items() if value != getattr(project, name)}
            if not real:
                return project
            change_project(connection, row, real)
            made = _found(connection, row) if project.public else self._shown(connection, caller, row)
            entry = _entry("project.update", caller, project.name, row, dict(real))
            record(connection, entry, self._clock.now())
            return made

        return await self._database.write(change)

    async def delete(self, caller: Caller, row: int, version: int | None = None, *, force: bool = False) -> None:
        """Remove a project with its grants and robots. Projects nested in it stay, and inherit from its parent then.

        One of the same name that is made later is another project: tokens given for this one do not work there.

        What a project bounds (its settings) is bounded for its admins too, and what is nested in it goes to the one
        above; so it is removed by who could have made it, as `admin` reaches nothing outside of a project.

        Args:
            caller: an admin of it and of the project that it lies in, or of the system.
            row: its id.
            version: the one that the caller looked at; None for any.
            force: remove its repositories (not those of projects nested in it) with manifests, tags and links, some
                at a time: whoever is interrupted asks again. Their blobs stay for garbage collection.

        Raises:
            ObjectUnknown, PreconditionFailed: as for `change`.
            Denied: the caller is no admin there, or is denied to pull something of what would be public; the root.
            Conflict: it has repositories, and `force` is not given.
        """
        check_unlimited(caller)
        if row == ROOT:
            raise Denied("The root is always there.")
        while force and await self._database.write(lambda connection: self._clear(connection, caller, row, version)):
            pass

        def change(connection: Connection) -> None:
            project = self._removable(connection, caller, row, version)
            if has_repositories(connection, row):
                raise Conflict(f"{project.name} has repositories; remove them first, or remove them with it (force).")
            remove_project(connection, project)
            record(connection, _entry("project.delete", caller, project.name, row, {}), self._clock.now())

        await self._database.write(change)

    def _shown(self, connection: Connection, caller: Caller, row: int) -> Project:
        """A project that may have become public just now: that hands out a right as well."""
        project = _found(connection, row)
        if project.public:
            handed = Handed(project.name, "", frozenset({PULL}), EVERYBODY)
            check_handed(connection, caller, [handed], self._clock.now())
        return project

    def _clear(self, connection: Connection, caller: Caller, row: int, version: int | None) -> bool:
        self._removable(connection, caller, row, version)
        now = self._clock.now()
        names = remove_repositories(connection, row, AT_ONCE)
        for name in names:
            tell(connection, Event("delete", name, actor=caller.name), now)
            entry = AuditEntry("repository.delete", OK, caller, "repository", name, row)
            record(connection, entry, now)
        return bool(names)

    def _seen(self, connection: Connection, caller: Caller, project: Project | None) -> tuple[Project, frozenset[str]]:
        # Asked for the same way whether there is one or not, so that the time does not tell.
        name = project.name if project is not None else "-"
        actions = decide(connection, caller.identity, name, self._clock.now()).actions
        if project is None or not actions:
            raise ObjectUnknown(_UNKNOWN)
        return project, actions

    def _manageable(self, connection: Connection, caller: Caller, row: int) -> Project:
        project, actions = self._seen(connection, caller, find_project(connection, row, hold=True))
        if ADMIN not in actions:
            raise Denied("Only an admin of the project may do this.")
        return project

    def _removable(self, connection: Connection, caller: Caller, row: int, version: int | None) -> Project:
        project, now = self._manageable(connection, caller, row), self._clock.now()
        above = chain_of(connection, project.name)[-2]
        if not _is_admin(connection, caller, above.name, now):
            raise Denied(f"Only an admin of the project that {project.name} lies in may remove it.")
        if above.public and not project.public:
            handed = Handed(project.name, "", frozenset({PULL}), EVERYBODY)
            check_handed(connection, caller, [handed], now)
        check_version(version, project.version)
        return project


def _is_admin(connection: Connection, caller: Caller, name: str, now: float) -> bool:
    return ADMIN in decide(connection, caller.identity, name, now).actions


def _found(connection: Connection, row: int) -> Project:
    project = find_project(connection, row)
    if project is None:
        raise ObjectUnknown(_UNKNOWN)
    return project


def _entry(action: str, caller: Caller, name: str, row: int, detail: dict[str, object]) -> AuditEntry:
    return AuditEntry(action, OK, caller, "project", name, row, detail)


def _values(wanted: ProjectChange) -> dict[str, str]:
    values: dict[str, str] = {}
    if wanted.description is not None:
        values["description"] = checked_description(wanted.description)
    if wanted.visibility is not None:
        values["visibility"] = _one_of("visibility", wanted.visibility, VISIBILITIES)
    if wanted.create_on_push is not None:
        values["create_on_push"] = _one_of("create_on_push", wanted.create_on_push, CREATES)
    return values


def _one_of(name: str, value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise Invalid(f"{name} is one of {', '.join(words)}.")
    return value
