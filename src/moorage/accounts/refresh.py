"""Refresh tokens: what docker keeps instead of a password ("identity token").

They are given for a password of our own users and for personal access tokens, and end with what they were given for:
with the user's epoch (new password, disabled), with the user, with the personal access token. A robot keeps its secret,
which is as good; people of a directory get none, because nobody would tell us when the directory lets them go; and a CI
job's token is meant to die with the job.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.accounts.login import BAD_TOKEN, Proof, narrowed
from moorage.auth.random_secrets import REFRESH, hash_secret, kind_of, new_secret
from moorage.core.access import Caller, Identity
from moorage.core.audit import OK, REFUSED, AuditEntry
from moorage.core.errors import Unauthorized
from moorage.metadata.audit import record
from moorage.metadata.refresh_tokens import (
    REFRESH_TOKEN,
    NewRefreshToken,
    add_refresh_token,
    extend_refresh_token,
    remove_expired_tokens,
    trim_users_tokens,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.accounts.journal import Journal
    from moorage.auth.settings import LocalSettings
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database, Row

MOST_OF_ONE_USER = 1000
"""Refresh tokens of one user; the oldest go."""

_SWEEP = 20
"""Ended tokens that are removed whenever one is given out."""


class RefreshTokens:
    """Gives them out and takes them.

    Args:
        database: where their hashes are.
        clock: for how long.
        settings: lifetime and service.
        journal: where uses and refusals are noted.
    """

    def __init__(self, database: Database, clock: Clock, settings: LocalSettings, journal: Journal) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._journal = journal

    async def give(self, proof: Proof, caller: Caller, client: str) -> str | None:
        """A new one for whoever proved who they are; None where their credential gets none."""
        identity = proof.identity
        kind, _, number = identity.credential.partition(":")
        if identity.kind != "user" or kind not in ("password", "pat"):
            return None
        secret, now = new_secret(REFRESH), self._clock.now()
        new = NewRefreshToken(
            hash=hash_secret(secret),
            user_id=identity.id,
            access_token_id=int(number) if kind == "pat" else None,
            epoch=proof.epoch,
            service=self._settings.service,
            client_id=client[:200],
            created_at=now,
            expires_at=now + self._settings.refresh_seconds,
        )

        def change(connection: Connection) -> None:
            remove_expired_tokens(connection, now, _SWEEP)
            add_refresh_token(connection, new)
            trim_users_tokens(connection, identity.id, MOST_OF_ONE_USER)
            detail: dict[str, object] = {"client": new.client_id}
            record(connection, AuditEntry("token.refresh", OK, caller, "user", identity.name, detail=detail), now)

        await self._database.write(change)
        return secret

    async def prove(self, secret: str, caller: Caller) -> Proof:
        """Whose it is. Using it puts off its end.

        Raises:
            Unauthorized: unknown, ended, or what it was given for has ended.
        """
        row = await self._database.lookup(REFRESH_TOKEN, hash_secret(secret)) if kind_of(secret) == REFRESH else None
        proof = self._proof(row, self._clock.now()) if row is not None else None
        if row is None or proof is None:
            name = str(row[1]) if row is not None else ""
            refused = AuditEntry("login", REFUSED, caller, "user", name, detail={"reason": "refresh token"})
            self._journal.note(refused)
            raise Unauthorized(BAD_TOKEN)
        await self._put_off(row)
        return proof

    def _proof(self, row: Row, now: float) -> Proof | None:
        owner, name, admin, disabled, epoch, token, given_epoch, service, expires_at, pat, scopes, owner_ends = row
        if disabled or epoch != given_epoch or service != self._settings.service:
            return None
        if not isinstance(expires_at, float) or expires_at <= now:
            return None
        if isinstance(owner_ends, float) and owner_ends <= now:
            return None
        assert isinstance(owner, int)  # noqa: S101 - columns' types
        assert isinstance(epoch, int)  # noqa: S101
        narrow = narrowed(str(scopes)) if scopes is not None else None
        identity = Identity(str(name), "user", owner, admin=bool(admin), credential=f"refresh:{token}", scopes=narrow)
        return Proof(replace(identity, pat=pat) if isinstance(pat, int) else identity, epoch)

    async def _put_off(self, row: Row) -> None:
        token, expires_at = row[5], row[8]
        assert isinstance(token, int)  # noqa: S101 - columns' types
        assert isinstance(expires_at, float)  # noqa: S101
        self._journal.used("refresh", token)
        life = self._settings.refresh_seconds
        until = self._clock.now() + life
        if until - expires_at > min(86400.0, life / 10):
            await self._database.write(lambda connection: extend_refresh_token(connection, token, until))
