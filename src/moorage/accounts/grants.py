"""Grants: an admin of a project allows somebody something there, or denies it; never outside of the project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy.exc import IntegrityError

from moorage.accounts.decision import decide
from moorage.accounts.handing_out import Handed, check_handed
from moorage.accounts.rights import KEEP, Keep, check_hands_out, check_version, checked_description, checked_expiry
from moorage.accounts.token_scopes import is_glob
from moorage.core.access import ADMIN, DELETE, OVERWRITE, PULL, PUSH, ROLES
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.core.globs import literal_prefix
from moorage.metadata.audit import record
from moorage.metadata.grants import (
    ALLOW,
    DENY,
    EVERYBODY,
    NAMELESS,
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
    project_of_robot,
    remove_grant,
)
from moorage.metadata.projects import find_project, is_within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database
    from moorage.metadata.projects import Project

ACTIONS = (PULL, PUSH, OVERWRITE, DELETE, ADMIN)
KINDS = ("user", "group", "robot", *NAMELESS)
_UNKNOWN = "There is no such grant or project, or it is not yours to see."
_AT_ONCE = "Somebody made a grant at this moment that says the same; read them again."


@dataclass(frozen=True, slots=True)
class ShownGrant:
    """A grant, with the name of whom it is for; empty for `anonymous` and `authenticated`."""

    grant: Grant
    principal: str


@dataclass(frozen=True, slots=True)
class WantedGrant:
    """A grant to be made.

    Attributes:
        kind: `user`, `group`, `robot`, `anonymous` (everybody) or `authenticated`.
        principal: a name; empty for the last two.
        role: reader, writer, maintainer or admin; empty where `actions` are given.
        actions: of pull, push, overwrite, delete and admin.
        pattern: glob of full repository names in the project; empty for all.
        effect: `allow` or `deny`.
        expires_at: seconds since 1970; None for never.
        note: for people.
    """

    kind: str
    principal: str = ""
    role: str = ""
    actions: tuple[str, ...] = ()
    pattern: str = ""
    effect: str = ALLOW
    expires_at: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What is to become of a grant; None leaves things as they are, except for `expires_at`, where it means never."""

    role: str | None = None
    actions: tuple[str, ...] | None = None
    expires_at: float | Keep | None = KEEP
    note: str | None = None


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
        values = self._values(wanted)

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
            _principal(connection, wanted, project.name),
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

    def _values(self, wanted: GrantChange) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if wanted.role is not None or wanted.actions is not None:
            values["role"] = wanted.role or ""
            values["actions"] = checked_actions(wanted.role or "", wanted.actions or ())
        if wanted.expires_at is not KEEP:
            values["expires_at"] = checked_expiry(wanted.expires_at, self._clock.now())
        if wanted.note is not None:
            values["note"] = checked_description(wanted.note)
        return values


def checked_actions(role: str, actions: tuple[str, ...], known: tuple[str, ...] = ACTIONS) -> str:
    """The actions as they are kept, in a fixed order; empty where there is a role.

    Raises:
        Invalid: both or neither of the two, or words that are none.
    """
    if bool(role) == bool(actions):
        raise Invalid("A grant has either a role or actions.")
    if role and role not in ROLES:
        raise Invalid(f"A role is one of {', '.join(ROLES)}.")
    if not set(actions) <= set(known):
        raise Invalid(f"Actions are of {', '.join(known)}.")
    return ",".join(action for action in known if action in actions)


def check_glob(pattern: str) -> None:
    """Refuse a pattern of repository names that is none; an empty one stands for all.

    Raises:
        Invalid: see above.
    """
    if pattern and not is_glob(pattern):
        raise Invalid("A pattern is a repository's full name, where * stands within one part and ** for any parts.")


def check_pattern(pattern: str, project: str) -> None:
    """Refuse a pattern that is none, or of which nothing lies in the project.

    Raises:
        Invalid: see above.
    """
    if not pattern:
        return
    check_glob(pattern)
    begin = literal_prefix(pattern)
    if project and not (is_within(pattern, project) or (begin != pattern and f"{project}/".startswith(begin))):
        raise Invalid(f"The pattern lies outside of the project {project}; write full names, as {project}/**.")


def _principal(connection: Connection, wanted: WantedGrant, project: str) -> int:
    if wanted.kind not in KINDS:
        raise Invalid(f"A grant is for one of {', '.join(KINDS)}.")
    if wanted.kind in NAMELESS and wanted.principal:
        raise Invalid(f"{wanted.kind} has no name.")
    found = principal_id(connection, wanted.kind, wanted.principal, hold=True)
    home = project_of_robot(connection, found) if wanted.kind == "robot" and found is not None else None
    if wanted.kind == "robot" and (found is None or (home is not None and not is_within(project, home))):
        # One answer, as the robots of other projects are nobody's business here.
        raise Invalid("There is no robot of that name that belongs to this project, to one above it or to the system.")
    if found is None:
        raise Invalid(f"There is no {wanted.kind} {wanted.principal!r}.")
    words = ROLES[wanted.role] if wanted.role else frozenset(wanted.actions)
    if wanted.kind == EVERYBODY and wanted.effect == ALLOW and words != {PULL}:
        raise Invalid("Anonymous can be allowed to pull, nothing else: the role reader.")
    return found


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
