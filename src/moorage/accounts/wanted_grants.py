"""What somebody wants of a grant, and whether there can be such a one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.accounts.rights import KEEP, Keep, checked_description, checked_expiry
from moorage.accounts.token_scopes import is_glob
from moorage.core.access import ADMIN, DELETE, OVERWRITE, PULL, PUSH, ROLES
from moorage.core.errors import Invalid
from moorage.core.globs import literal_prefix
from moorage.metadata.grants import ALLOW, EVERYBODY, NAMELESS, principal_id, project_of_robot
from moorage.metadata.projects import is_within

if TYPE_CHECKING:
    from sqlalchemy import Connection

ACTIONS = (PULL, PUSH, OVERWRITE, DELETE, ADMIN)
KINDS = ("user", "group", "robot", *NAMELESS)


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


def changed_values(wanted: GrantChange, now: float) -> dict[str, Any]:
    """The columns that a change sets; none for one that leaves all as it is.

    Raises:
        Invalid: a value that cannot be.
    """
    values: dict[str, Any] = {}
    if wanted.role is not None or wanted.actions is not None:
        values["role"] = wanted.role or ""
        values["actions"] = checked_actions(wanted.role or "", wanted.actions or ())
    if wanted.expires_at is not KEEP:
        values["expires_at"] = checked_expiry(wanted.expires_at, now)
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


def held_principal(connection: Connection, wanted: WantedGrant, project: str) -> int:
    """The id of whom a grant is for, whom nobody removes until the transaction ends; 0 for those without a row.

    Raises:
        Invalid: there is nobody of that name, or not for this project, or they cannot be allowed that.
    """
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
