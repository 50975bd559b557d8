"""Personal access tokens: a user makes and revokes the own ones, an admin sees and revokes everybody's.

The token itself is shown once, when it is made. It acts for its owner, never for more than the owner may, and is
refused while the owner is disabled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.accounts.rights import (
    check_own_credential,
    check_unlimited,
    check_version,
    checked_expiry,
    is_oneself,
    is_system_admin,
)
from moorage.accounts.token_scopes import checked_scopes
from moorage.auth.random_secrets import PAT, hash_secret, new_secret
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.metadata.access_tokens import (
    AccessToken,
    NewAccessToken,
    add_token,
    count_tokens_of,
    find_token,
    list_tokens,
    list_tokens_of,
    remove_token,
)
from moorage.metadata.audit import record
from moorage.metadata.users import hold_user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

DAY = 86400.0
DEFAULT_SECONDS = 90 * DAY
LONGEST_SECONDS = 366 * DAY
MOST_TOKENS = 100
"""Of one user."""

MAX_NAME = 128
_UNKNOWN = "There is no such token, or it is not yours to see."


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A new token, and for this once what it is."""

    token: AccessToken
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"MadeToken({self.token!r})"


class AccessTokens:
    """The use cases of personal access tokens.

    Args:
        database: where they are kept.
        clock: for times.
        longest: most seconds that a token may live; None: for ever, if its owner wants that.
    """

    def __init__(self, database: Database, clock: Clock, longest: float | None = LONGEST_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._longest = longest

    async def create(
        self,
        caller: Caller,
        name: str,
        *,
        scopes: Sequence[str] = (),
        seconds: float | None = None,
        user_id: int | None = None,
    ) -> MadeToken:
        """Make a token.

        Args:
            caller: the owner to be, with any credential but a personal access token.
            name: the owner's word for it.
            scopes: what it is narrowed to; empty: all that the owner may.
            seconds: how long it lives; None for 90 days, or for the configured maximum where that is shorter.
            user_id: the owner, where the program itself asks (the command line on the root); None for the caller.

        Raises:
            Denied: the caller is no user, is another one, or used a personal access token.
            Invalid: a name, scope or time that cannot be.
            Conflict: the owner has a token of that name, or too many.
        """
        owner = _owner(caller, user_id)
        name, kept = _checked_name(name), checked_scopes(scopes)
        now = self._clock.now()
        longest = DEFAULT_SECONDS if self._longest is None else min(DEFAULT_SECONDS, self._longest)
        expires_at = checked_expiry(now + (longest if seconds is None else seconds), now, self._longest)
        secret = new_secret(PAT)
        new = NewAccessToken(owner, name, hash_secret(secret), kept, expires_at)

        def change(connection: Connection) -> AccessToken:
            user = hold_user(connection, owner)
            if user is None or user.disabled:
                raise Denied("Tokens are made for users who are there and enabled.")
            if count_tokens_of(connection, owner) >= MOST_TOKENS:
                raise Conflict(f"A user has at most {MOST_TOKENS} tokens; revoke one that is not needed any more.")
            row = add_token(connection, new, now)
            token = find_token(connection, row) if row is not None else None
            if token is None:
                raise Conflict(f"You have a token {name} already; choose another name, or revoke that one first.")
            detail: dict[str, object] = {"id": token.id, "scopes": list(kept), "expires_at": expires_at}
            entry = AuditEntry("token.create", OK, caller, "token", f"{user.name}/{name}", detail=detail)
            record(connection, entry, now)
            return token

        return MadeToken(await self._database.write(change), secret)

    async def get(self, caller: Caller, row: int) -> AccessToken:
        """A token, without what it is.

        Raises:
            ObjectUnknown: there is none, or it is somebody else's and the caller is no system admin.
        """
        token = await self._database.read(lambda connection: find_token(connection, row))
        return _visible(caller, token)

    async def list(
        self, caller: Caller, *, user_id: int | None = None, after: int = 0, limit: int = 100
    ) -> list[AccessToken]:
        """Tokens in the order of their ids, from behind `after`.

        Args:
            caller: who asks.
            user_id: whose; None: everybody's for a system admin, the own ones for others.
            after: the last id of the page before.
            limit: at most so many.
        """
        admin = is_system_admin(caller)
        if user_id is None and admin:
            return await self._database.read(lambda connection: list_tokens(connection, after, limit))
        whose = caller.identity.id if user_id is None else user_id
        if not admin and not is_oneself(caller, whose):
            return []
        return await self._database.read(lambda connection: list_tokens_of(connection, whose, after, limit))

    async def delete(self, caller: Caller, row: int, version: int | None = None) -> None:
        """Revoke a token: the next request with it is refused. Refresh tokens that were given for it go with it.

        Raises:
            ObjectUnknown: as for `get`.
            Denied: it is the caller's, who used another personal access token of limited scopes.
            PreconditionFailed: the token has another version.
        """
        self_credential = caller.identity.credential == f"pat:{row}"

        def change(connection: Connection) -> None:
            token = _visible(caller, find_token(connection, row, hold=True))
            if not self_credential:
                check_unlimited(caller)
            check_version(version, token.version)
            remove_token(connection, row)
            detail: dict[str, object] = {"id": row}
            entry = AuditEntry("token.revoke", OK, caller, "token", f"{token.user}/{token.name}", detail=detail)
            record(connection, entry, self._clock.now())

        await self._database.write(change)


def _owner(caller: Caller, user_id: int | None) -> int:
    identity = caller.identity
    if identity.kind == "system" and user_id is not None:
        return user_id
    if identity.kind != "user" or identity.id == 0:
        raise Denied("Personal access tokens belong to users of this registry; log in as one of them.")
    if user_id is not None and user_id != identity.id:
        raise Denied("Everybody makes the own tokens; nobody makes one for somebody else.")
    check_own_credential(caller)
    return identity.id


def _visible(caller: Caller, token: AccessToken | None) -> AccessToken:
    if token is not None and (is_system_admin(caller) or is_oneself(caller, token.user_id)):
        return token
    raise ObjectUnknown(_UNKNOWN)


def _checked_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid(f"A token's name has 1 to {MAX_NAME} printable characters.")
    return name
