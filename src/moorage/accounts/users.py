"""Users: made, changed and removed. Whatever was given out to one ends in the same transaction as what it stood on.

System admins may do everything; a user sees only the own account and may change its e-mail address and, knowing the
old one, its password.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from moorage.accounts.new_passwords import checked_password
from moorage.accounts.rights import (
    check_own_credential,
    check_system_admin,
    check_version,
    checked_email,
    is_oneself,
    is_system_admin,
)
from moorage.core.account_names import parse_user_name
from moorage.core.audit import OK, REFUSED, AuditEntry
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown, PreconditionFailed
from moorage.metadata.audit import record
from moorage.metadata.grants import remove_grants_of
from moorage.metadata.pages import Page
from moorage.metadata.users import (
    NewUser,
    User,
    add_user,
    change_user,
    end_logins,
    find_user,
    find_user_by_name,
    hold_admins,
    hold_user,
    is_another_admin,
    list_users,
    password_of,
    remove_user,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.auth.passwords import Passwords
    from moorage.auth.ports import Attempts
    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

_UNKNOWN = "There is no such user, or it is not yours to see."


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to become of a user; None leaves things as they are.

    Attributes:
        password: the new one.
        old_password: the one so far; whoever changes the own password has to know it.
    """

    email: str | None = None
    admin: bool | None = None
    disabled: bool | None = None
    password: str | None = None
    old_password: str | None = None

    def __repr__(self) -> str:
        """Without passwords."""
        return f"UserChange(email={self.email!r}, admin={self.admin}, disabled={self.disabled})"


class Users:
    """The use cases of users.

    Args:
        database: where they are kept.
        clock: for times.
        passwords: makes and checks hashes.
        attempts: counts wrong old passwords as failed logins; None: nobody counts.
    """

    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, attempts: Attempts | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._attempts = attempts

    async def create(
        self,
        caller: Caller,
        name: str,
        *,
        password: str | None = None,
        email: str = "",
        admin: bool = False,
        disabled: bool = False,
    ) -> User:
        """Make a local user; without a password it can log in by a certificate or not at all.

        Raises:
            Denied: the caller is no system admin.
            Invalid: a name, password or address that cannot be.
            Conflict: the name is taken.
        """
        check_system_admin(caller)
        name, email = parse_user_name(name), checked_email(email)
        hashed = None if password is None else await self._passwords.hash(checked_password(name, password))
        new = NewUser(name, email, hashed, admin, disabled)

        def change(connection: Connection) -> User:
            now = self._clock.now()
            row = add_user(connection, new, now)
            user = find_user(connection, row) if row is not None else None
            if user is None:
                raise Conflict(f"There is a user {name} already.")
            detail: dict[str, object] = {"admin": admin, "disabled": disabled}
            record(connection, AuditEntry("user.create", OK, caller, "user", name, detail=detail), now)
            return user

        return await self._database.write(change)

    async def get(self, caller: Caller, row: int) -> User:
        """A user.

        Raises:
            ObjectUnknown: there is none, or it is somebody else and the caller is no system admin.
        """
        found = await self._database.read(lambda connection: find_user(connection, row))
        return _visible(caller, found)

    async def find(self, caller: Caller, name: str) -> User:
        """A user by name, in any case.

        Raises:
            ObjectUnknown: as for `get`.
        """
        found = await self._database.read(lambda connection: find_user_by_name(connection, name.lower()))
        return _visible(caller, found)

    async def list(self, caller: Caller, *, prefix: str = "", after: str = "", limit: int = 100) -> list[User]:
        """Users by name, from behind `after`: all for a system admin, for others themselves."""
        if is_system_admin(caller):
            page = Page(after, limit, prefix.lower())
            return await self._database.read(lambda connection: list_users(connection, page))
        if caller.identity.kind != "user" or limit < 1:
            return []
        own = await self._database.read(lambda connection: find_user(connection, caller.identity.id))
        return [own] if own is not None and own.name > after and own.name.startswith(prefix.lower()) else []

    async def change(self, caller: Caller, row: int, wanted: UserChange, version: int | None = None) -> User:
        """Change a user.

        A new password and disabling end the user's sessions, refresh tokens and personal access tokens, enabling what
        sessions there may be. Registry tokens that are out end with their lifetime.

        Args:
            caller: a system admin, or the user itself for e-mail and password.
            row: the user's id.
            wanted: what is to change.
            version: the one that the caller looked at; None for any.

        Raises:
            ObjectUnknown: as for `get`.
            Denied: more than the caller may change, or the old password is missing or wrong.
            Invalid: a password or address that cannot be, or a password for somebody whom a directory knows.
            Conflict: no enabled admin would be left.
            PreconditionFailed: the user has another version.
        """
        user = await self.get(caller, row)
        _check_allowed(caller, user, wanted)
        email = None if wanted.email is None else checked_email(wanted.email)
        hashed, proven = await self._new_password(caller, user, wanted)

        def change(connection: Connection) -> User:
            if proven is not None:
                _held(connection, row)  # first: who waits for another change must see what that one left
                if password_of(connection, row) != proven:
                    raise PreconditionFailed("The password was changed meanwhile; log in again.")
            return self._change(connection, caller, row, replace(wanted, email=email, password=hashed), version)

        return await self._database.write(change)

    async def delete(self, caller: Caller, row: int, version: int | None = None) -> None:
        """Remove a user with grants, memberships and everything that was given out.

        Raises:
            Denied: the caller is no system admin (and may see the user).
            ObjectUnknown: there is none.
            Conflict: no enabled admin would be left.
            PreconditionFailed: the user has another version.
        """
        await self.get(caller, row)
        check_system_admin(caller)

        def change(connection: Connection) -> None:
            now = self._clock.now()
            user = _held(connection, row)
            check_version(version, user.version)
            _check_admin_left(connection, user)
            ended = end_logins(connection, row, access_tokens_too=True)
            grants = remove_grants_of(connection, "user", row)
            remove_user(connection, row)
            detail: dict[str, object] = {"grants": grants, "access_tokens": ended.access_tokens}
            record(connection, AuditEntry("user.delete", OK, caller, "user", user.name, detail=detail), now)

        await self._database.write(change)

    async def _new_password(self, caller: Caller, user: User, wanted: UserChange) -> tuple[str | None, str | None]:
        """The hash of the new password, and that of the old one where it had to be proven."""
        if wanted.password is None:
            return None, None
        proven = await self._prove(caller, user, wanted.old_password) if is_oneself(caller, user.id) else None
        return await self._passwords.hash(checked_password(user.name, wanted.password)), proven

    async def _prove(self, caller: Caller, user: User, old: str | None) -> str:
        """The stored hash that the old password fits."""
        if self._attempts is not None:
            await self._attempts.check(user.name, caller.address)
        stored = await self._database.read(lambda connection: password_of(connection, user.id))
        given = (old or "").encode("utf-8", "surrogatepass")
        if await self._passwords.fits(user.name, given, stored) and stored is not None:
            return stored
        if self._attempts is not None:
            await self._attempts.failed(user.name, caller.address, old or "")
        entry = AuditEntry("user.password", REFUSED, caller, "user", user.name)
        await self._database.write(lambda connection: record(connection, entry, self._clock.now()))
        raise Denied("Who changes the own password has to give the old one, and this is not it.")

    def _change(
        self, connection: Connection, caller: Caller, row: int, wanted: UserChange, version: int | None
    ) -> User:
        """`wanted.password` is a hash here."""
        now = self._clock.now()
        user = _held(connection, row)
        check_version(version, user.version)
        if wanted.password is not None and user.source != "local":
            raise Invalid(f"{user.source} knows the password of {user.name}; change it there.")
        values = _values(user, wanted)
        if user.admin and not user.disabled and (values.get("admin") is False or values.get("disabled")):
            _check_admin_left(connection, user)
        if not values:
            return user
        ends = "password" in values or "disabled" in values
        change_user(connection, row, values, now, end=ends)
        detail: dict[str, object] = {name: values[name] for name in values if name != "password"}
        if ends:
            gone = "password" in values or bool(values.get("disabled"))
            ended = end_logins(connection, row, access_tokens_too=gone)
            detail |= {"password": "password" in values, "sessions": ended.sessions, "tokens": ended.access_tokens}
        record(connection, AuditEntry("user.update", OK, caller, "user", user.name, detail=detail), now)
        return _found(find_user(connection, row))


def _visible(caller: Caller, user: User | None) -> User:
    if user is not None and (is_system_admin(caller) or is_oneself(caller, user.id)):
        return user
    raise ObjectUnknown(_UNKNOWN)


def _found(user: User | None) -> User:
    if user is None:
        raise ObjectUnknown(_UNKNOWN)
    return user


def _held(connection: Connection, row: int) -> User:
    hold_admins(connection)
    return _found(hold_user(connection, row))


def _check_allowed(caller: Caller, user: User, wanted: UserChange) -> None:
    if wanted.password is not None and is_oneself(caller, user.id):
        check_own_credential(caller)
    if is_system_admin(caller):
        return
    if wanted.admin is not None or wanted.disabled is not None:
        raise Denied("Only an admin of the system may make admins, and disable or enable users.")
    check_own_credential(caller)


def _values(user: User, wanted: UserChange) -> dict[str, Any]:
    """The columns that really change."""
    given = {"email": wanted.email, "admin": wanted.admin, "disabled": wanted.disabled}
    values = {name: value for name, value in given.items() if value is not None and value != getattr(user, name)}
    return values if wanted.password is None else {**values, "password": wanted.password}


def _check_admin_left(connection: Connection, user: User) -> None:
    if user.admin and not user.disabled and not is_another_admin(connection, user.id):
        raise Conflict(f"{user.name} is the last enabled admin; make another one first.")
