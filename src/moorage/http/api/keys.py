"""`/api/v1/keys`: the keys that sign registry tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from moorage.accounts.keys import rotate
from moorage.accounts.rights import check_system_admin
from moorage.auth.settings import LocalSettings
from moorage.core.access import Caller
from moorage.core.clock import Clock
from moorage.core.errors import ObjectUnknown
from moorage.http.api.shapes import Body, Shown, given
from moorage.http.api.who import Known
from moorage.metadata.database import Database

router = APIRouter(tags=["keys"])


class KeyRing:
    """Replaces the key that signs.

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
        if self._settings is None:
            raise ObjectUnknown("There are keys only where the registry keeps its own accounts (auth.local).")
        return await rotate(self._database, self._settings, self._clock, caller, at_once=at_once)


class Rotation(Body):
    """How the key is to be replaced.

    Attributes:
        at_once: tokens that are out die within seconds, and clients fetch new ones; without it no request fails.
    """

    at_once: bool = False


class NewKey(Shown):
    """The key that signs from now on, or soon."""

    kid: str


@router.post("/keys/rotate", status_code=201)
async def rotate_keys(caller: Known, ring: Annotated[KeyRing, given(KeyRing)], body: Rotation) -> NewKey:
    """Replace the key that signs tokens."""
    return NewKey(kid=await ring.rotate(caller, at_once=body.at_once))
