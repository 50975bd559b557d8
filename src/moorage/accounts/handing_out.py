"""Nobody hands out what they are denied themselves: an admin of a project does not get past a deny from above.

A deny counts wherever it may meet what is handed out, though nothing may be there yet. One that reaches whoever gets
the right as well (it is for everybody, or for all who are logged in) is no reason to refuse: it counts for them, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.accounts.decision import is_almighty
from moorage.core.access import Identity
from moorage.core.errors import Denied
from moorage.core.globs import may_meet
from moorage.metadata.grants import AUTHENTICATED, DENY, EVERYBODY, grants_to
from moorage.metadata.projects import is_within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.metadata.grants import Grant


@dataclass(frozen=True, slots=True)
class Handed:
    """What somebody is to get.

    Attributes:
        project: by name, and what is nested in it.
        pattern: of full repository names there; empty for all.
        actions: which.
        kind: who gets it: `user`, `group`, `robot`, `anonymous` or `authenticated`.
    """

    project: str
    pattern: str
    actions: frozenset[str]
    kind: str


def check_handed(connection: Connection, caller: Caller, handed: Iterable[Handed], now: float) -> None:
    """Let pass who is denied nothing of what they hand out. Admins of the system are denied nothing.

    Raises:
        Denied: something of it.
    """
    denied = _denied(connection, caller, now)
    for each in handed:
        words = sorted({word for grant in denied if _touches(grant, each) for word in grant.words() & each.actions})
        if words:
            raise Denied(
                f"You are denied {', '.join(words)} on part of this, and nobody hands out what they are denied; leave "
                "that part out, or ask an admin of the system."
            )


def check_in_place_of(connection: Connection, caller: Caller, robot: int, now: float) -> None:
    """Let pass who may make credentials of a robot: it is allowed nothing that the caller is denied.

    Raises:
        Denied: it is.
    """
    if not _denied(connection, caller, now):
        return
    theirs = [grant for grant in grants_to(connection, Identity("", "robot", robot), now) if grant.effect != DENY]
    own = [grant for grant in theirs if grant.principal_kind == "robot"]
    check_handed(connection, caller, [Handed(each.project, each.pattern, each.words(), "robot") for each in own], now)


def _denied(connection: Connection, caller: Caller, now: float) -> list[Grant]:
    if is_almighty(caller.identity):
        return []
    return [grant for grant in grants_to(connection, caller.identity, now) if grant.effect == DENY]


def _touches(grant: Grant, handed: Handed) -> bool:
    """Whether a deny may meet what is handed out, and does not reach who gets it anyway."""
    if grant.principal_kind == EVERYBODY or (grant.principal_kind == AUTHENTICATED and handed.kind != EVERYBODY):
        return False
    nested = is_within(grant.project, handed.project) or is_within(handed.project, grant.project)
    return (
        nested
        and _reaches(grant.pattern, handed.project)
        and _reaches(handed.pattern, grant.project)
        and may_meet(grant.pattern, handed.pattern)
    )


def _reaches(pattern: str, project: str) -> bool:
    return not project or may_meet(pattern, project) or may_meet(pattern, f"{project}/**")
