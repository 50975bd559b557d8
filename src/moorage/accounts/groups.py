"""Groups, and who is in them. For system admins; what a directory or provider says of its own groups is not edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.accounts.rights import check_system_admin, check_version, checked_description, is_system_admin
from moorage.core.account_names import parse_group_name
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Conflict, Invalid, ObjectUnknown
from moorage.metadata.audit import record
from moorage.metadata.grants import remove_grants_of
from moorage.metadata.groups import (
    Group,
    Member,
    add_group,
    add_member,
    describe_group,
    find_group,
    find_group_by_name,
    list_groups,
    list_members,
    remove_group,
    remove_member,
)
from moorage.metadata.pages import Page
from moorage.metadata.users import find_user

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

LOCAL = "local"
_UNKNOWN = "There is no such group, or it is not yours to see."


class Groups:
    """The use cases of groups.

    Args:
        database: where they are kept.
        clock: for times.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, caller: Caller, name: str, description: str = "") -> Group:
        """Make a group without members.

        Raises:
            Denied: the caller is no system admin.
            Invalid: a name or description that cannot be.
            Conflict: the name is taken.
        """
        check_system_admin(caller)
        name, description = parse_group_name(name), checked_description(description)

        def change(connection: Connection) -> Group:
            now = self._clock.now()
            row = add_group(connection, name, description, LOCAL, now)
            if row is None:
                raise Conflict(f"There is a group {name} already.")
            record(connection, AuditEntry("group.create", OK, caller, "group", name), now)
            return _found(connection, row)

        return await self._database.write(change)

    async def get(self, caller: Caller, row: int) -> Group:
        """A group.

        Raises:
            ObjectUnknown: there is none, or the caller is no system admin.
        """
        _check_sight(caller)
        return await self._database.read(lambda connection: _found(connection, row))

    async def find(self, caller: Caller, name: str) -> Group:
        """A group by name.

        Raises:
            ObjectUnknown: as for `get`.
        """
        _check_sight(caller)
        group = await self._database.read(lambda connection: find_group_by_name(connection, name))
        if group is None:
            raise ObjectUnknown(_UNKNOWN)
        return group

    async def members(self, caller: Caller, row: int, *, after: int = 0, limit: int = 100) -> list[Member]:
        """Who is in a group, in the order of ids, from behind `after`.

        Raises:
            ObjectUnknown: as for `get`.
        """
        await self.get(caller, row)
        return await self._database.read(lambda connection: list_members(connection, row, after, limit))

    async def list(self, caller: Caller, *, prefix: str = "", after: str = "", limit: int = 100) -> list[Group]:
        """Groups by name, from behind `after`; none for who is no system admin."""
        if not is_system_admin(caller):
            return []
        page = Page(after, limit, prefix)
        return await self._database.read(lambda connection: list_groups(connection, page))

    async def change(self, caller: Caller, row: int, description: str, version: int | None = None) -> Group:
        """Describe a group anew.

        Raises:
            ObjectUnknown: as for `get`.
            Invalid: a description that cannot be.
            Conflict: the group belongs to a directory or provider.
            PreconditionFailed: the group has another version.
        """
        _check_sight(caller)
        description = checked_description(description)

        def change(connection: Connection) -> Group:
            group = _editable(connection, row)
            check_version(version, group.version)
            if description == group.description:
                return group
            describe_group(connection, row, description)
            detail: dict[str, object] = {"description": description}
            entry = AuditEntry("group.update", OK, caller, "group", group.name, detail=detail)
            record(connection, entry, self._clock.now())
            return _found(connection, row)

        return await self._database.write(change)

    async def delete(self, caller: Caller, row: int, version: int | None = None) -> None:
        """Remove a group with its grants and memberships. A directory's group is made again when it is next named.

        Raises:
            ObjectUnknown: as for `get`.
            PreconditionFailed: the group has another version.
        """
        _check_sight(caller)

        def change(connection: Connection) -> None:
            group = _found(connection, row, hold=True)
            check_version(version, group.version)
            detail: dict[str, object] = {"grants": remove_grants_of(connection, "group", row)}
            remove_group(connection, row)
            entry = AuditEntry("group.delete", OK, caller, "group", group.name, detail=detail)
            record(connection, entry, self._clock.now())

        await self._database.write(change)

    async def add_member(self, caller: Caller, row: int, user_id: int) -> None:
        """Put a user into a group; one who is in it already stays, by whomever it was put there.

        Raises:
            ObjectUnknown: there is no such group.
            Invalid: there is no such user.
            Conflict: the group belongs to a directory or provider.
        """
        _check_sight(caller)

        def change(connection: Connection) -> None:
            group = _editable(connection, row)
            user = find_user(connection, user_id)
            if user is None:
                raise Invalid("There is no such user to put into the group.")
            if add_member(connection, row, user_id, LOCAL):
                entry = _membership("group.member.add", caller, group, user.name)
                record(connection, entry, self._clock.now())

        await self._database.write(change)

    async def remove_member(self, caller: Caller, row: int, user_id: int) -> None:
        """Take a user out of a group.

        Raises:
            ObjectUnknown: there is no such group, or the user is not in it.
            Conflict: the group belongs to a directory or provider.
        """
        _check_sight(caller)

        def change(connection: Connection) -> None:
            group = _editable(connection, row)
            user = find_user(connection, user_id)
            if user is None or not remove_member(connection, row, user_id):
                raise ObjectUnknown("That user is not in this group.")
            entry = _membership("group.member.remove", caller, group, user.name)
            record(connection, entry, self._clock.now())

        await self._database.write(change)


def _check_sight(caller: Caller) -> None:
    if not is_system_admin(caller):
        raise ObjectUnknown(_UNKNOWN)


def _found(connection: Connection, row: int, *, hold: bool = False) -> Group:
    group = find_group(connection, row, hold=hold)
    if group is None:
        raise ObjectUnknown(_UNKNOWN)
    return group


def _editable(connection: Connection, row: int) -> Group:
    group = _found(connection, row, hold=True)
    if group.source != LOCAL:
        raise Conflict(f"{group.source} says what this group is and who is in it; change it there.")
    return group


def _membership(action: str, caller: Caller, group: Group, user: str) -> AuditEntry:
    return AuditEntry(action, OK, caller, "group", group.name, detail={"user": user})
