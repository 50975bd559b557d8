"""The keys in the database that tokens are signed with: made, published, used, replaced and forgotten.

All workers and instances read the same rows and decide by the same rule, so they agree without talking: the key that
signs is the youngest whose time has come. A new key is published PUBLISH_SECONDS before it signs, more than the
READ_SECONDS after which everybody has read it, and the one before it verifies until its last token has expired.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import orjson

from moorage.auth.keys import SigningKey, Unsealable, VerifyingKey, master_key, new_key, open_key
from moorage.auth.registry_tokens import LEEWAY, InvalidToken, TokenReader, UnknownKey
from moorage.core.access import SYSTEM, Caller
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import RegistryError, Unavailable
from moorage.metadata.audit import record
from moorage.metadata.signing_keys import (
    KeyRow,
    add_key,
    end_all_keys,
    end_older_keys,
    hold_keys,
    living_keys,
    remove_ended_keys,
)
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from moorage.auth.settings import LocalSettings
    from moorage.core.access import Identity
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

_log = logger("moorage.accounts")

READ_SECONDS = 20.0
"""How often the keys are read again."""

PUBLISH_SECONDS = 60.0
"""How long a new key is known to verifiers before it signs."""

FORGET_SECONDS = 7 * 86400.0
"""How long the row of a key that ended is kept."""

_UNKNOWN_SECONDS = 1.0
"""How often at most a token with an unknown key makes us read the keys."""


class Keys:
    """The ring of keys of one worker.

    Args:
        database: where they are.
        settings: algorithm, lifetimes, the secret that private halves are sealed with.
        reader: is told the keys to verify with.
        clock: decides which key signs.
        monotonic: seconds, for how often the database is asked.
    """

    def __init__(
        self,
        database: Database,
        settings: LocalSettings,
        reader: TokenReader,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._settings = settings
        self._reader = reader
        self._clock = clock
        self._monotonic = monotonic
        self._master = master_key(settings.secret)
        self._opened: dict[str, SigningKey] = {}
        self._rows: list[KeyRow] = []
        self._published: list[VerifyingKey] = []
        self._read_at = float("-inf")

    async def load(self) -> None:
        """Read the keys; make the first one, or one that we can sign with, where there is none."""
        await self._read()
        if self._signer() is None:
            await self._database.write(self._make_first)
            await self._read()

    async def run(self) -> None:
        """Read the keys again and again and replace the one that is old, until cancelled."""
        while True:
            await asyncio.sleep(READ_SECONDS)
            try:
                await self.load()
                if self._is_due(self._rows):
                    await self._database.write(self._rotate_if_due)
                    await self._read()
            except RegistryError as error:
                _log.warning("the signing keys could not be read", error=str(error))
            except Exception as error:  # noqa: BLE001 - one bad turn must not end all that follow
                _log.error("the signing keys could not be kept", **told_of(error))

    def signer(self) -> SigningKey:
        """The key that signs now.

        Raises:
            Unavailable: there is none yet.
        """
        found = self._signer()
        if found is None:
            raise Unavailable("The registry has no key to sign tokens with yet; try again.")
        return found

    def jwks(self) -> dict[str, object]:
        """What verifiers outside need (RFC 7517 section 5)."""
        return {"keys": [key.jwk for key in self._published]}

    async def identify(self, authorization: str) -> Identity:
        """Whose token the header `Bearer <token>` has; an unknown key makes us read the keys, at most once a second.

        Raises:
            InvalidToken: not a valid token of ours.
        """
        try:
            return self._reader.read(authorization)
        except UnknownKey:
            if self._monotonic() - self._read_at < _UNKNOWN_SECONDS:
                raise InvalidToken("unknown key") from None
        await self._read()
        try:
            return self._reader.read(authorization)
        except UnknownKey:
            raise InvalidToken("unknown key") from None

    async def _read(self) -> None:
        self._read_at = self._monotonic()
        now = self._clock.now()
        rows = await self._database.read(lambda connection: living_keys(connection, now))
        opened: dict[str, SigningKey] = {}
        for row in rows:
            key = self._opened.get(row.kid) or self._open(row)
            if key is not None:
                opened[row.kid] = key
        self._rows, self._opened = rows, opened
        self._published = [VerifyingKey(row.algorithm, row.kid, orjson.loads(row.public)) for row in rows]
        self._reader.use(self._published)

    def _open(self, row: KeyRow) -> SigningKey | None:
        try:
            return open_key(row.private, row.kid, self._master)
        except Unsealable:
            _log.warning("a signing key was sealed with another master key; it verifies, but cannot sign", kid=row.kid)
            return None

    def _signer(self) -> SigningKey | None:
        """The youngest key of ours whose time has come; while that is still to come, the one before it."""
        now = self._clock.now()
        begun = [row.kid for row in self._rows if row.signs_from <= now and row.kid in self._opened]
        return self._opened[begun[-1]] if begun else None

    def _is_due(self, rows: list[KeyRow]) -> bool:
        """Whether the youngest of our keys is old or of another algorithm than configured."""
        mine = [row for row in rows if self._can_open(row)]
        if not mine:
            return True
        old = self._clock.now() - mine[-1].signs_from >= self._settings.rotation_seconds
        return old or mine[-1].algorithm != self._settings.algorithm

    def _can_open(self, row: KeyRow) -> bool:
        return row.kid in self._opened or self._open(row) is not None

    def _make_first(self, connection: Connection) -> None:
        hold_keys(connection)
        now = self._clock.now()
        begun = (row for row in living_keys(connection, now) if row.signs_from <= now)
        if not any(self._can_open(row) for row in begun):
            # Whoever sealed the others (an instance with another secret) may still sign with them.
            publish(connection, self._settings, now, now, replace=False)

    def _rotate_if_due(self, connection: Connection) -> None:
        """Looks again: of several workers that found it due, one does it."""
        hold_keys(connection)
        now = self._clock.now()
        if self._is_due(living_keys(connection, now)):
            publish(connection, self._settings, now, now + PUBLISH_SECONDS)
            remove_ended_keys(connection, now - FORGET_SECONDS)


def publish(
    connection: Connection,
    settings: LocalSettings,
    now: float,
    signs_from: float,
    caller: Caller = SYSTEM,
    *,
    replace: bool = True,
) -> str:
    """Make a key that signs from then on, and return its `kid`.

    replace: the ones before it end when their last token has.
    """
    key = new_key(settings.algorithm)
    sealed = key.seal(master_key(settings.secret))
    if replace:
        end_older_keys(connection, signs_from, signs_from + READ_SECONDS + settings.token_seconds + LEEWAY)
    jwk = orjson.dumps(dict(key.jwk)).decode()
    add_key(connection, KeyRow(key.kid, key.algorithm, jwk, sealed, now, signs_from, None))
    detail: dict[str, object] = {"algorithm": key.algorithm, "signs_from": signs_from}
    record(connection, AuditEntry("key.create", OK, caller, "key", key.kid, detail=detail), now)
    return key.kid


async def rotate(
    database: Database, settings: LocalSettings, clock: Clock, caller: Caller, *, at_once: bool = False
) -> str:
    """Replace the key that signs, and return the new one's `kid`.

    at_once: the old keys are no longer to be trusted: all tokens that were given out die within READ_SECONDS, and
        clients fetch new ones. Without it no request fails.
    """

    def change(connection: Connection) -> str:
        hold_keys(connection)
        now = clock.now()
        if at_once:
            end_all_keys(connection, now)
            return publish(connection, settings, now, now, caller)
        return publish(connection, settings, now, now + PUBLISH_SECONDS, caller)

    return await database.write(change)
