"""`/api/v1/me`: who am I."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from moorage.accounts.own_groups import OwnGroups
from moorage.http.api.shapes import Shown, given
from moorage.http.api.who import Anybody

router = APIRouter(tags=["me"])


class Me(Shown):
    """Who asks, as the server sees it.

    Attributes:
        kind: anonymous, user, robot, or system (a registry that is open to all, or the command line).
        credential: how it was proved.
        scopes: what a personal access token narrows its owner's rights to; null: not at all.
    """

    name: str
    kind: str
    id: int
    admin: bool
    credential: str
    scopes: list[str] | None
    groups: list[str]


@router.get("/me")
async def show_me(caller: Anybody, groups: Annotated[OwnGroups, given(OwnGroups)]) -> Me:
    """Who am I."""
    identity = caller.identity
    scopes = None
    if identity.scopes is not None:
        scopes = [f"{scope.type}:{scope.name}:{','.join(sorted(scope.actions))}" for scope in identity.scopes]
    return Me(
        name=identity.name,
        kind=identity.kind,
        id=identity.id,
        admin=identity.admin and identity.scopes is None,
        credential=identity.credential,
        scopes=scopes,
        groups=await groups.names(identity),
    )
