"""Queries about grants: what principals may do, or may not, in a project or on some repositories of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select, text, union_all, update

from moorage.core.access import ROLES
from moorage.metadata.pages import insert_new
from moorage.metadata.tables_access import grants, group_members, groups, projects, robots, users

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Select

    from moorage.core.access import Identity

ALLOW, DENY = "allow", "deny"
EVERYBODY, AUTHENTICATED = "anonymous", "authenticated"
NAMELESS = (EVERYBODY, AUTHENTICATED)
"""Principals without a row; what `anonymous` may, everybody may."""

_LOCK = 0x6D6F6F74
_NAMED = {"user": users, "group": groups, "robot": robots}
_SAME = ("project_id", "principal_kind", "principal_id", "pattern", "effect", "role", "actions")
_COLUMNS = (
    grants.c.id,
    grants.c.project_id,
    projects.c.name,
    grants.c.pattern,
    grants.c.principal_kind,
    grants.c.principal_id,
    grants.c.effect,
    grants.c.role,
    grants.c.actions,
    grants.c.note,
    grants.c.created_at,
    grants.c.created_by,
    grants.c.expires_at,
    grants.c.version,
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a principal may do, or may not.

    Attributes:
        project_id, project: where.
        pattern: glob of full repository names; empty for the whole project and what is nested in it.
        principal_kind: `user`, `group`, `robot`, `anonymous` or `authenticated`.
        principal_id: 0 for the last two.
        effect: `allow` or `deny`.
        role: one of `ROLES`; empty where `actions` (words with commas between) were chosen one by one.
        created_at, expires_at: seconds since 1970; None: never.
    """

    id: int
    project_id: int
    project: str
    pattern: str
    principal_kind: str
    principal_id: int
    effect: str
    role: str
    actions: str
    note: str
    created_at: float
    created_by: str
    expires_at: float | None
    version: int

    def words(self) -> frozenset[str]:
        """The actions that it allows or denies."""
        return ROLES[self.role] if self.role else frozenset(self.actions.split(","))


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant to be made; see `Grant`."""

    project_id: int
    pattern: str
    principal_kind: str
    principal_id: int
    effect: str
    role: str
    actions: str
    note: str
    created_by: str
    expires_at: float | None


def find_grant(connection: Connection, row: int, *, hold: bool = False) -> Grant | None:
    """A grant by id; with `hold` nobody else changes it until the transaction ends."""
    if hold:
        connection.execute(select(grants.c.id).where(grants.c.id == row).with_for_update())
    found = connection.execute(_select().where(grants.c.id == row)).first()
    return Grant(*found) if found is not None else None


def hold_exchange(connection: Connection, project_id: int) -> None:
    """Until the transaction ends, nobody else who asked for this exchanges grants of a project for others.

    On SQLite one writes at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        keys = {"lock": _LOCK, "project": project_id % 2**31}  # two of 32 bits
        connection.execute(text("SELECT pg_advisory_xact_lock(CAST(:lock AS int), CAST(:project AS int))"), keys)


def grants_for(connection: Connection, project_id: int, pattern: str) -> list[Grant]:
    """All grants of one project that have this very pattern, in the order in which they were made."""
    where = (grants.c.project_id == project_id, grants.c.pattern == pattern)
    return _all(connection, _select().where(*where).order_by(grants.c.id))


def list_grants(connection: Connection, project_id: int, after: int, limit: int) -> list[Grant]:
    """Grants of one project in the order in which they were made, from behind the id `after`."""
    where = (grants.c.project_id == project_id, grants.c.id > after)
    return _all(connection, _select().where(*where).order_by(grants.c.id).limit(limit))


def list_grants_of(connection: Connection, kind: str, row: int, after: int, limit: int) -> list[Grant]:
    """Grants of one principal in all projects, from behind the id `after`."""
    where = (grants.c.principal_kind == kind, grants.c.principal_id == row, grants.c.id > after)
    return _all(connection, _select().where(*where).order_by(grants.c.id).limit(limit))


def grants_on(connection: Connection, identity: Identity, chain: Iterable[int], now: float) -> list[Grant]:
    """Grants that count for an identity in some projects now, whatever their pattern, in the order of their ids."""
    there = grants.c.project_id.in_(list(chain))
    return sorted(_counting(connection, identity, and_(there, _alive(now))), key=lambda grant: grant.id)


def grants_to(connection: Connection, identity: Identity, now: float) -> list[Grant]:
    """All grants that count for an identity now, in no order."""
    return _counting(connection, identity, _alive(now))


def add_grant(connection: Connection, new: NewGrant, now: float) -> int | None:
    """Make a grant; its id. None: there is one that says the same, see `find_same`."""
    values = {name: getattr(new, name) for name in new.__slots__}
    return insert_new(connection, grants, {**values, "created_at": now, "version": 1}, grants.c.id)


def find_same(connection: Connection, new: Grant | NewGrant) -> int | None:
    """The id of the grant that says the same as another one, whatever its note and its end."""
    where = (grants.c[name] == getattr(new, name) for name in _SAME)
    found: int | None = connection.execute(select(grants.c.id).where(*where)).scalar()
    return found


def change_grant(connection: Connection, row: int, values: Mapping[str, Any]) -> None:
    """Set columns of a grant."""
    statement = update(grants).where(grants.c.id == row)
    connection.execute(statement.values({**values, "version": grants.c.version + 1}))


def remove_grant(connection: Connection, row: int) -> None:
    """Remove a grant."""
    connection.execute(delete(grants).where(grants.c.id == row))


def remove_grants_of(connection: Connection, kind: str, row: int) -> int:
    """Remove all grants of a principal (`user`, `group` or `robot`); how many."""
    where = (grants.c.principal_kind == kind, grants.c.principal_id == row)
    return connection.execute(delete(grants).where(*where)).rowcount


def principal_id(connection: Connection, kind: str, name: str, *, hold: bool = False) -> int | None:
    """The id of a principal by its name; 0 for those without a row, None where there is none.

    With `hold` nobody removes it until the transaction ends: no foreign key watches over the principals of grants.
    """
    if kind in NAMELESS:
        return 0
    table = _NAMED[kind]
    statement = select(table.c.id).where(table.c.name == name)
    if hold:
        statement = statement.with_for_update(read=True, key_share=True)
    found: int | None = connection.execute(statement).scalar()
    return found


def principal_names(connection: Connection, found: Iterable[Grant]) -> dict[tuple[str, int], str]:
    """The names of the principals of some grants; empty for those without a row."""
    wanted: dict[str, set[int]] = {}
    for grant in found:
        wanted.setdefault(grant.principal_kind, set()).add(grant.principal_id)
    names = {(kind, 0): "" for kind in NAMELESS}
    for kind, table in _NAMED.items():
        rows = connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(wanted.get(kind, ()))))
        names.update({(kind, row): name for row, name in rows})
    return names


def project_of_robot(connection: Connection, row: int) -> str | None:
    """The name of the project that a robot belongs to; None for one of the system, or none at all."""
    statement = select(projects.c.name).join(robots, robots.c.project_id == projects.c.id).where(robots.c.id == row)
    found: str | None = connection.execute(statement).scalar()
    return found


def _counting(connection: Connection, identity: Identity, where: ColumnElement[bool]) -> list[Grant]:
    """Grants of an identity and its groups. Anonymous counts for all; `authenticated` for who proved to be anybody.

    One arm for each kind of principal: with OR between them PostgreSQL may read all grants there are.
    """
    wanted: list[tuple[str, list[int]]] = [(EVERYBODY, [0])]
    if identity.kind != EVERYBODY:
        wanted.append((AUTHENTICATED, [0]))
    if identity.id and identity.kind in ("user", "robot"):
        wanted.append((identity.kind, [identity.id]))
    if identity.id and identity.kind == "user":
        mine = select(group_members.c.group_id).where(group_members.c.user_id == identity.id)
        if found := list(connection.scalars(mine)):
            wanted.append(("group", found))
    arms = [
        _select().where(grants.c.principal_kind == kind, grants.c.principal_id.in_(rows), where)
        for kind, rows in wanted
    ]
    return [Grant(*row) for row in connection.execute(union_all(*arms))]


def _alive(now: float) -> ColumnElement[bool]:
    return or_(grants.c.expires_at.is_(None), grants.c.expires_at > now)


def _select() -> Select[Any]:
    return select(*_COLUMNS).select_from(grants).join(projects, projects.c.id == grants.c.project_id)


def _all(connection: Connection, statement: Select[Any]) -> list[Grant]:
    return [Grant(*row) for row in connection.execute(statement)]
