"""Grants: an admin of a project allows somebody something there, or denies it; never outside of the project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy.exc import IntegrityError

from moorage.accounts.decision import decide
from moorage.accounts.handing_out import Handed, check_handed
from moorage.accounts.rights import check_hands_out, check_version, checked_description, checked_expiry
from moorage.accounts.wanted_grants import KINDS, changed_values, check_pattern, checked_actions, held_principal
from moorage.core.access import ADMIN
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.metadata.audit import record
from moorage.metadata.grants import (
    ALLOW,
    DENY,
    Grant,
    NewGrant,
    add_grant,
    change_grant,
    find_grant,
    find_same,
    grants_for,
    hold_exchange,
    list_grants,
    list_grants_of,
    principal_id,
    principal_names,
    remove_grant,
)
from moorage.metadata.projects import find_project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from moorage.accounts.wanted_grants import GrantChange, WantedGrant
    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database
    from moorage.metadata.projects import Project

_UNKNOWN = "There is no such grant or project, or it is not yours to see."
_AT_ONCE = "Somebody made a grant at this moment that says the same; read them again."


@dataclass(frozen=True, slots=True)
class ShownGrant:
    """A grant, with the name of whom it is for; empty for `anonymous` and `authenticated`."""

    grant: Grant
    principal: str


class Exchange(Protocol):
    """Grants that go, by their ids, and those that come in their place."""

    @property
    def old(self) -> Sequence[int]:
        """What is to go; what is gone already does no harm."""
        ...

    @property
    def fresh(self) -> Sequence[WantedGrant]:
        """What is to come."""
        ...


E = TypeVar("E", bound=Exchange)


class Grants:
    """The use cases of grants.

    Args:
        database: where they are kept.
        clock: for times.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, caller: Caller, project_id: int, wanted: WantedGrant) -> ShownGrant:
        """Allow somebody something, or deny it.

        Raises:
            ObjectUnknown: there is no such project, or the caller may do nothing there.
            Denied: the caller is no admin of it, or is denied something of that.
            Invalid: a value that cannot be, or a principal that there is not.
            Conflict: a grant says so already, whatever its note and its end; the error names it.
        """
        return (await self.replace(caller, project_id, (), (wanted,)))[0]

    async def replace(
        self, caller: Caller, project_id: int, old: Sequence[int], wanted: Sequence[WantedGrant]
    ) -> Sequence[ShownGrant]:
        """Remove some grants of a project and make others, all or none; those made, in the order given.

        Args:
            caller: an admin of the project.
            project_id: where.
            old: ids of what is to go; what is gone already does no harm.
            wanted: what is to come.

        Raises:
            ObjectUnknown, Denied, Invalid, Conflict: as for `create`.
        """
        check_hands_out(caller)

        def change(connection: Connection) -> Sequence[ShownGrant]:
            project = self._managed(connection, caller, project_id)
            return self._replaced(connection, caller, project, old, wanted)

        return await self._database.write(change)

    async def exchange(
        self, caller: Caller, project_id: int, pattern: str, choose: Callable[[Sequence[ShownGrant]], E]
    ) -> tuple[E, Sequence[ShownGrant]]:
        """Replace grants of a project by others, going by those that there are: one exchange at a time sees them.

        Args:
            caller: an admin of the project.
            project_id: where.
            pattern: of the grants that `choose` is shown.
            choose: from the grants that have this pattern to what goes and what comes; it may be asked again.

        Returns:
            What was chosen, and the grants that were made of it, in its order.

        Raises:
            ObjectUnknown, Denied, Invalid, Conflict: as for `create`.
        """
        check_hands_out(caller)

        def change(connection: Connection) -> tuple[E, Sequence[ShownGrant]]:
            project = self._managed(connection, caller, project_id)
            hold_exchange(connection, project_id)
            chosen = choose(_named(connection, grants_for(connection, project_id, pattern)))
            return chosen, self._replaced(connection, caller, project, chosen.old, chosen.fresh)

        return await self._database.write(change)

    async def list_for(self, caller: Caller, project_id: int, pattern: str) -> list[ShownGrant]:
        """All grants of a project that have this very pattern, in the order in which they were made.

        Raises:
            ObjectUnknown, Denied: as for `create`.
        """

        def query(connection: Connection) -> list[ShownGrant]:
            self._managed(connection, caller, project_id)
            return _named(connection, grants_for(connection, project_id, pattern))

        return await self._database.read(query)

    async def get(self, caller: Caller, row: int) -> ShownGrant:
        """A grant.

        Raises:
            ObjectUnknown: there is none, or the caller is neither an admin of its project nor the one it is for.
        """

        def query(connection: Connection) -> ShownGrant:
            return self._seen(connection, caller, row)

        return await self._database.read(query)

    async def list_of(
        self, caller: Caller, kind: str, principal: str, *, after: int = 0, limit: int = 100
    ) -> list[ShownGrant]:
        """Grants of one principal in all projects, from behind the id `after`.

        Args:
            caller: an admin of the system, or the one who is asked about.
            kind: as in `WantedGrant`.
            principal: its name.
            after: the last id of the page before.
            limit: at most so many.

        Raises:
            ObjectUnknown: there is no such principal, or it is not the caller's to see.
        """
        who = caller.identity
        oneself = kind == who.kind and principal == who.name and bool(who.id)
        if kind not in KINDS or not ((who.admin and who.scopes is None) or who.kind == "system" or oneself):
            raise ObjectUnknown(_UNKNOWN)

        def query(connection: Connection) -> list[ShownGrant]:
            row = principal_id(connection, kind, principal)
            if row is None:
                raise ObjectUnknown(_UNKNOWN)
            return _named(connection, list_grants_of(connection, kind, row, after, limit))

        return await self._database.read(query)

    async def list(self, caller: Caller, project_id: int, *, after: int = 0, limit: int = 100) -> list[ShownGrant]:
        """Grants of a project in the order in which they were made, from behind the id `after`.

        Raises:
            ObjectUnknown, Denied: as for `create`.
        """

        def query(connection: Connection) -> list[ShownGrant]:
            self._managed(connection, caller, project_id)
            return _named(connection, list_grants(connection, project_id, after, limit))

        return await self._database.read(query)

    async def change(self, caller: Caller, row: int, wanted: GrantChange, version: int | None = None) -> ShownGrant:
        """Change what a grant says; whom it is for and where it counts stay.

        Raises:
            ObjectUnknown: as for `get`.
            Denied: the caller is no admin of its project, or is denied something of what it allows.
            Invalid: a value that cannot be.
            PreconditionFailed: the grant has another version.
            Conflict: another grant says what this one would say.
        """
        check_hands_out(caller)
        values = changed_values(wanted, self._clock.now())

        def change(connection: Connection) -> ShownGrant:
            found = self._seen(connection, caller, row, hold=True)
            self._managed(connection, caller, found.grant.project_id)
            check_version(version, found.grant.version)
            if not values:
                return found
            _check_alone(connection, replace(found.grant, **values))
            change_grant(connection, row, values)
            made = _shown(connection, row)
            if made.grant.words() - found.grant.words() or "expires_at" in values:
                self._check_handed(connection, caller, made.grant)
            record(connection, _entry("grant.update", caller, made), self._clock.now())
            return made

        try:
            return await self._database.write(change)
        except IntegrityError as error:
            raise Conflict(_AT_ONCE) from error

    async def delete(self, caller: Caller, row: int, version: int | None = None) -> None:
        """Remove a grant.

        Raises:
            ObjectUnknown, Denied, PreconditionFailed: as for `change`.
        """
        check_hands_out(caller)

        def change(connection: Connection) -> None:
            found = self._seen(connection, caller, row, hold=True)
            self._managed(connection, caller, found.grant.project_id)
            check_version(version, found.grant.version)
            remove_grant(connection, row)
            record(connection, _entry("grant.delete", caller, found), self._clock.now())

        await self._database.write(change)

    def _replaced(
        self,
        connection: Connection,
        caller: Caller,
        project: Project,
        old: Sequence[int],
        wanted: Sequence[WantedGrant],
    ) -> Sequence[ShownGrant]:
        for row in old:
            grant = find_grant(connection, row, hold=True)
            if grant is not None and grant.project_id == project.id:
                shown = _named(connection, [grant])[0]
                remove_grant(connection, row)
                record(connection, _entry("grant.delete", caller, shown), self._clock.now())
        return [self._made(connection, caller, project, each) for each in wanted]

    def _made(self, connection: Connection, caller: Caller, project: Project, wanted: WantedGrant) -> ShownGrant:
        now = self._clock.now()
        if wanted.effect not in (ALLOW, DENY):
            raise Invalid("The effect is allow or deny.")
        check_pattern(wanted.pattern, project.name)
        new = NewGrant(
            project.id,
            wanted.pattern,
            wanted.kind,
            held_principal(connection, wanted, project.name),
            wanted.effect,
            wanted.role,
            checked_actions(wanted.role, wanted.actions),
            checked_description(wanted.note),
            caller.name,
            checked_expiry(wanted.expires_at, now),
        )
        row = add_grant(connection, new, now)
        if row is None:
            raise _said_already(find_same(connection, new))
        made = _shown(connection, row)
        self._check_handed(connection, caller, made.grant)
        record(connection, _entry("grant.create", caller, made), now)
        return made

    def _check_handed(self, connection: Connection, caller: Caller, grant: Grant) -> None:
        """Refuse a grant that was just made or changed, and with it the transaction."""
        if grant.effect == ALLOW:
            handed = Handed(grant.project, grant.pattern, grant.words(), grant.principal_kind)
            check_handed(connection, caller, [handed], self._clock.now())

    def _managed(self, connection: Connection, caller: Caller, project_id: int) -> Project:
        project = find_project(connection, project_id)
        actions = decide(
            connection, caller.identity, project.name if project is not None else "-", self._clock.now()
        ).actions
        if project is None or not actions:
            raise ObjectUnknown(_UNKNOWN)
        if ADMIN not in actions:
            raise Denied("Only an admin of the project may do this.")
        return project

    def _seen(self, connection: Connection, caller: Caller, row: int, *, hold: bool = False) -> ShownGrant:
        grant = find_grant(connection, row, hold=hold)
        name = grant.project if grant is not None else "-"
        who = caller.identity
        is_admin = ADMIN in decide(connection, who, name, self._clock.now()).actions
        if grant is None:
            raise ObjectUnknown(_UNKNOWN)
        theirs = (grant.principal_kind, grant.principal_id) == (who.kind, who.id) and bool(who.id)
        if not is_admin and not theirs:
            raise ObjectUnknown(_UNKNOWN)
        return _named(connection, [grant])[0]


def _check_alone(connection: Connection, grant: Grant) -> None:
    """Refuse what another grant says already."""
    same = find_same(connection, grant)
    if same is not None and same != grant.id:
        raise _said_already(same)


def _said_already(row: int | None) -> Conflict:
    if row is None:
        return Conflict(_AT_ONCE)
    return Conflict(f"Grant {row} says the same already; change its end or note instead.", {"grant": row})


def _named(connection: Connection, found: list[Grant]) -> list[ShownGrant]:
    names = principal_names(connection, found)
    return [ShownGrant(grant, names.get((grant.principal_kind, grant.principal_id), "")) for grant in found]


def _shown(connection: Connection, row: int) -> ShownGrant:
    grant = find_grant(connection, row)
    if grant is None:
        raise ObjectUnknown(_UNKNOWN)
    return _named(connection, [grant])[0]


def _entry(action: str, caller: Caller, shown: ShownGrant) -> AuditEntry:
    grant = shown.grant
    detail: dict[str, object] = {
        "grant": grant.id,
        "effect": grant.effect,
        "principal": f"{grant.principal_kind} {shown.principal}".strip(),
        "role": grant.role,
        "actions": grant.actions,
        "pattern": grant.pattern,
        "expires_at": grant.expires_at,
    }
    return AuditEntry(action, OK, caller, "grant", grant.project, grant.project_id, detail)
