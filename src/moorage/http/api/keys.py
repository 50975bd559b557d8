"""`/api/v1/keys`: the keys that sign registry tokens."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter
from sqlalchemy import Connection

from moorage.accounts.keys import rotate
from moorage.accounts.rights import check_system_admin
from moorage.auth.keys import VerifyingKey
from moorage.auth.settings import LocalSettings
from moorage.core.access import Caller
from moorage.core.clock import Clock
from moorage.core.errors import Invalid, ObjectUnknown
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import Body, Shown, given
from moorage.http.api.times import Moment
from moorage.http.api.who import Known
from moorage.metadata.database import Database
from moorage.metadata.signing_keys import PublicKey, list_keys, living_keys

router = APIRouter(tags=["keys"])


class KeyRing:
    """Shows the keys that sign, and replaces them.

    Args:
        settings: algorithm and lifetimes; None where no tokens are given out.
    """

    def __init__(self, database: Database, clock: Clock, settings: LocalSettings | None) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    async def rotate(self, caller: Caller, *, at_once: bool) -> str:
        """The new key's id.

        Raises:
            Denied: the caller is no system admin.
            ObjectUnknown: no tokens are given out here.
        """
        check_system_admin(caller)
        return await rotate(self._database, self._needed(), self._clock, caller, at_once=at_once)

    async def list(self, caller: Caller, *, after: tuple[float, str], limit: int) -> list[tuple[PublicKey, str, int]]:
        """Keys in the order in which they begin to sign, each with its state and its age in seconds.

        Args:
            caller: an admin of the system.
            after: when the last key of the page before begins to sign, and its `kid`.
            limit: at most so many.

        Raises:
            Denied, ObjectUnknown: as for `rotate`.
        """
        check_system_admin(caller)
        self._needed()
        now = self._clock.now()

        def query(connection: Connection) -> list[tuple[PublicKey, str, int]]:
            begun = [key.kid for key in living_keys(connection, now) if key.signs_from <= now]
            found = list_keys(connection, after, limit)
            return [(key, _state(key, begun[-1:], now), int(max(0.0, now - key.created_at))) for key in found]

        return await self._database.read(query)

    def _needed(self) -> LocalSettings:
        if self._settings is None:
            raise ObjectUnknown("There are keys only where the registry keeps its own accounts (auth.local).")
        return self._settings


def _state(key: PublicKey, signing: list[str], now: float) -> str:
    if key.ends_at is not None and key.ends_at <= now:
        return "ended"
    if key.kid in signing:
        return "signing"
    return "coming" if key.signs_from > now else "verifying"


def _behind(after: str) -> tuple[float, str]:
    """What a page begins behind, from how `Link` writes it."""
    if not after:
        return float("-inf"), ""
    moment, _, kid = after.partition(":")
    try:
        found = float(moment)
    except ValueError:
        found = float("nan")
    if not isfinite(found) or not kid:
        raise Invalid("`after` is what the `Link` of the page before has.")
    return found, kid


class KeyShown(Shown):
    """The public half of a key that signs tokens, and what it does.

    Attributes:
        public: as at `/token/jwks` (RFC 7517).
        state: `coming` (published, signs from `signs_from` on), `signing`, `verifying` (tokens that it signed live on,
            until `ends_at`) or `ended`.
        age: seconds since it was made.
    """

    kid: str
    algorithm: str
    state: Literal["coming", "signing", "verifying", "ended"]
    age: int
    created_at: Moment
    signs_from: Moment
    ends_at: Moment | None
    public: dict[str, Any]


class KeyPage(Shown):
    """Some keys."""

    items: list[KeyShown]


class Rotation(Body):
    """How the key is to be replaced.

    Attributes:
        at_once: tokens that are out die within seconds, and clients fetch new ones; without it no request fails.
    """

    at_once: bool = False


class NewKey(Shown):
    """The key that signs from now on, or soon."""

    kid: str


RingOf = Annotated[KeyRing, given(KeyRing)]


@router.get("/keys")
async def list_signing_keys(caller: Known, ring: RingOf, page: Paged) -> KeyPage:
    """Keys that sign tokens or did, by when they begin to; for admins of the system. Never their private halves."""
    found = await ring.list(caller, after=_behind(page.after), limit=page.limit)
    rows = page.cut(found, lambda each: f"{each[0].signs_from!r}:{each[0].kid}")
    return KeyPage(items=[_shown(*each) for each in rows])


@router.post("/keys/rotate", status_code=201)
async def rotate_keys(caller: Known, ring: RingOf, body: Rotation) -> NewKey:
    """Replace the key that signs tokens."""
    return NewKey(kid=await ring.rotate(caller, at_once=body.at_once))


def _shown(key: PublicKey, state: str, age: int) -> KeyShown:
    jwk = VerifyingKey(key.algorithm, key.kid, orjson.loads(key.public)).jwk
    return KeyShown.model_validate({**asdict(key), "public": jwk, "state": state, "age": age})
