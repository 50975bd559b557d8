"""Somebody whom a directory or an OIDC provider vouches for comes in: the user and its groups are brought up to date.

A person is found again by source and subject, never by name: names are given to other people in time. A name that
belongs to another account here is refused and not given a suffix: grants name users, and `alice2` would surprise.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from moorage.core.access import Identity
from moorage.core.account_names import parse_group_name, parse_user_name
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Denied, Invalid
from moorage.metadata.arrivals import (
    ArrivedUser,
    add_arrived_user,
    arrived_user,
    change_arrived_user,
    memberships,
    name_is_taken,
    own_names,
    replace_memberships,
)
from moorage.metadata.audit import record

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.auth.ports import Arrival
    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

MOST_GROUPS = 1000
"""Groups of one person that are looked at."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The user that an arrival became.

    epoch: as in `users`. created: whether this was the first time.
    """

    id: int
    name: str
    admin: bool
    disabled: bool
    epoch: int
    created: bool = False


async def arrive(database: Database, clock: Clock, arrival: Arrival, caller: Caller, *, create: bool = True) -> Arrived:
    """Make or update the user that a source vouches for, and replace the memberships that this source had given.

    A disabled user stays disabled, and a name that changed at the source stays what it was here. Nothing is written
    where nothing changed.

    Args:
        database: where users are kept.
        clock: when this is.
        arrival: who.
        caller: address and request, for the audit log.
        create: whether people that were never here may come in.

    Raises:
        Denied: never here before, and either not to be made, or the name is no user name or belongs to somebody else.
    """
    known = await database.read(lambda connection: arrived_user(connection, arrival.source, arrival.subject))
    if known is None and not create:
        raise Denied("There is no account for you here; ask an administrator to make one.")
    if known is not None and not await database.read(lambda connection: _differs(connection, known, arrival)):
        return _arrived(known)
    for attempt in (1, 2):
        try:
            return await database.write(lambda connection: _bring_up_to_date(connection, arrival, caller, clock.now()))
        except IntegrityError:
            if attempt == 2:
                raise
            # Two first logins at the same time: the other one made the user, or a group.
    raise AssertionError


def _arrived(user: ArrivedUser, *, created: bool = False) -> Arrived:
    return Arrived(user.id, user.name, user.admin, user.disabled, user.epoch, created)


def _differs(connection: Connection, known: ArrivedUser, arrival: Arrival) -> bool:
    admin = known.admin if arrival.admin is None else arrival.admin
    if admin != known.admin or (arrival.email or known.email) != known.email:
        return True
    if arrival.groups is None:
        return False
    wanted = own_names(connection, _group_names(arrival.groups), arrival.source)
    return wanted != memberships(connection, known.id, arrival.source)


def _bring_up_to_date(connection: Connection, arrival: Arrival, caller: Caller, now: float) -> Arrived:
    known = arrived_user(connection, arrival.source, arrival.subject)
    created = known is None
    user = (
        _make(connection, arrival, caller, now) if known is None else _change(connection, known, arrival, caller, now)
    )
    if arrival.groups is not None:
        wanted = own_names(connection, _group_names(arrival.groups), arrival.source)
        before = memberships(connection, user.id, arrival.source)
        if wanted != before:
            for name in replace_memberships(connection, user.id, wanted, arrival.source, now):
                record(connection, AuditEntry("group.create", OK, _acting(caller, user, arrival), "group", name), now)
            detail: dict[str, object] = {"added": sorted(wanted - before), "removed": sorted(before - wanted)}
            entry = AuditEntry("user.groups", OK, _acting(caller, user, arrival), "user", user.name, detail=detail)
            record(connection, entry, now)
    return _arrived(user, created=created)


def _make(connection: Connection, arrival: Arrival, caller: Caller, now: float) -> ArrivedUser:
    try:
        name = parse_user_name(arrival.name)
    except Invalid as error:
        raise Denied(f"{arrival.source} gives you a name that cannot be used here. {error.message}") from None
    if name_is_taken(connection, name):
        raise Denied(
            f"The name {name} that {arrival.source} gives you belongs to another account here; ask an administrator "
            "to rename or delete that one."
        )
    admin = bool(arrival.admin)
    row = add_arrived_user(connection, name, arrival.email, arrival.source, arrival.subject, now, admin=admin)
    user = ArrivedUser(row, name, arrival.email, admin, disabled=False, epoch=0)
    detail: dict[str, object] = {"source": arrival.source, "admin": admin}
    record(connection, AuditEntry("user.create", OK, _acting(caller, user, arrival), "user", name, detail=detail), now)
    return user


def _change(connection: Connection, known: ArrivedUser, arrival: Arrival, caller: Caller, now: float) -> ArrivedUser:
    admin = known.admin if arrival.admin is None else arrival.admin
    email = arrival.email or known.email
    if admin == known.admin and email == known.email:
        return known
    change_arrived_user(connection, known.id, email, now, admin=admin)
    user = replace(known, email=email, admin=admin)
    detail: dict[str, object] = {"source": arrival.source, "admin": admin}
    entry = AuditEntry("user.update", OK, _acting(caller, user, arrival), "user", known.name, detail=detail)
    record(connection, entry, now)
    return user


def _acting(caller: Caller, user: ArrivedUser, arrival: Arrival) -> Caller:
    """The person itself, as the source proved."""
    return replace(caller, identity=Identity(user.name, "user", user.id, credential=arrival.source))


def _group_names(names: tuple[str, ...]) -> list[str]:
    found = []
    for name in names[:MOST_GROUPS]:
        with suppress(Invalid):
            found.append(parse_group_name(name))
    return found
