"""Sessions: what a browser shows instead of a password, in the cookie `moorage_session`.

A session ends by itself after a time without use and after a time at all, and at once when its user logs out, is
disabled or deleted, or gets another password: every request looks the row and its owner up.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from moorage.auth.random_secrets import SESSION as KIND
from moorage.auth.random_secrets import hash_secret, kind_of, new_secret
from moorage.core.access import Caller, Identity
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import RegistryError
from moorage.metadata.audit import record
from moorage.metadata.sessions import (
    SESSION,
    NewSession,
    add_session,
    remove_expired_sessions,
    remove_session,
    remove_users_sessions,
    session_owner,
    touch_session,
    trim_users_sessions,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

COOKIE = "moorage_session"

IDLE_SECONDS = 12 * 3600.0
"""How long a session lives without being used."""

LIFE_SECONDS = 7 * 86400.0
"""How long it lives at most."""

MOST_OF_A_USER = 50
"""The oldest end when somebody logs in more often than that."""

_TOUCH_SECONDS = 60.0
_SWEPT = 100
"""Sessions whose time is over that one login removes."""


class Sessions:
    """The sessions of all users.

    Args:
        database: where they are kept, by the hash of their secret.
        clock: what has ended.
        idle_seconds, life_seconds: see IDLE_SECONDS and LIFE_SECONDS.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        idle_seconds: float = IDLE_SECONDS,
        life_seconds: float = LIFE_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._idle = idle_seconds
        self._life = life_seconds

    async def create(self, user_id: int, epoch: int, address: str = "", *, old: str = "", request_id: str = "") -> str:
        """Begin a session and return its secret, which is shown once.

        Whoever proved who they are notes the login in the audit log; this does not.

        Args:
            user_id: of the row in `users`.
            epoch: of the user when it was proved who that is; the session is dead where it is another one now.
            address: of the client, to be shown to its user.
            old: the secret of a session that the same browser has so far, whoever's; it ends, as by `end`.
            request_id: for the audit log, which is told of that.
        """
        secret = new_secret(KIND)
        now = self._clock.now()
        new = NewSession(hash_secret(secret), user_id, epoch, now, now + self._life, now, address)

        def change(connection: Connection) -> None:
            self._end(connection, old, address, request_id)
            remove_expired_sessions(connection, now, _SWEPT)
            trim_users_sessions(connection, user_id, MOST_OF_A_USER - 1)
            add_session(connection, new)

        await self._database.write(change)
        return secret

    async def identify(self, secret: str) -> Identity | None:
        """Whose session that is, with credential `session`; None where it has ended or never was."""
        if kind_of(secret) != KIND:
            return None
        hashed = hash_secret(secret)
        row = await self._database.lookup(SESSION, hashed)
        if row is None:
            return None
        user, name, admin, disabled, epoch, own_epoch, expires_at, last_used_at = row
        now, used_at = self._clock.now(), float(str(last_used_at))
        if disabled or epoch != own_epoch or float(str(expires_at)) <= now or used_at + self._idle <= now:
            return None
        if now - used_at >= _TOUCH_SECONDS:
            # A database that takes no writes at the moment must not log people out who only look.
            with suppress(RegistryError):
                await self._database.write(lambda connection: touch_session(connection, hashed, now), durable=False)
        return Identity(str(name), "user", int(str(user)), admin=bool(admin), credential="session")

    async def end(self, secret: str, address: str = "", request_id: str = "") -> bool:
        """Log out; whether there was such a session. The audit log gets a `logout` with address and request."""
        if kind_of(secret) != KIND:
            return False
        return await self._database.write(lambda connection: self._end(connection, secret, address, request_id))

    async def end_all(self, user_id: int) -> int:
        """End every session of a user; how many there were. Who ends them for a reason records that reason."""
        return await self._database.write(lambda connection: remove_users_sessions(connection, user_id))

    def _end(self, connection: Connection, secret: str, address: str, request_id: str) -> bool:
        if kind_of(secret) != KIND:
            return False
        hashed = hash_secret(secret)
        owner = session_owner(connection, hashed)
        if owner is None or not remove_session(connection, hashed):
            return False
        who = Identity(owner[1], "user", owner[0], credential="session")
        caller = Caller(who, address=address, request_id=request_id)
        record(connection, AuditEntry("logout", OK, caller, "user", owner[1]), self._clock.now())
        return True
