"""The policy where there are no accounts of our own: whoever is known may do everything, everybody else nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.access import EVERYTHING, NOTHING, Binding, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.core.access import Identity

_REPOSITORY = frozenset({"pull", "push", "overwrite", "delete"})
_ALL = "*"


class PlainPolicy:
    """An implementation of `moorage.auth.ports.Policy`."""

    async def allowed(self, identity: Identity, name: str) -> frozenset[str]:
        """Everything, or nothing for anonymous."""
        return NOTHING if identity.kind == "anonymous" else EVERYTHING

    async def granted(self, identity: Identity, scopes: Sequence[Scope]) -> list[Scope]:
        """What is asked for of repositories and the catalog."""
        if identity.kind == "anonymous":
            return []
        found = (Scope(scope.type, scope.name, _some_of(scope)) for scope in scopes)
        return [scope for scope in found if scope.actions]

    async def binding(self, name: str) -> Binding:
        """Nothing is bound."""
        return Binding(0, 0)


def _some_of(scope: Scope) -> frozenset[str]:
    if scope.type == "registry" and scope.name == "catalog":
        return scope.actions & {_ALL}
    if scope.type != "repository":
        return NOTHING
    wanted = _REPOSITORY if _ALL in scope.actions else scope.actions & _REPOSITORY
    return wanted | {"overwrite"} if "push" in wanted else wanted
