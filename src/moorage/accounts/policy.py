"""What an identity may do: the port `moorage.auth.ports.Policy` over the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.accounts.decision import decide
from moorage.core.access import ADMIN, OVERWRITE, PUSH, Binding, Scope
from moorage.core.errors import NameInvalid
from moorage.core.names import parse_name
from moorage.metadata.projects import BINDING, chain_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.core.access import Identity
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

_CATALOG = ("registry", "catalog")


class DatabasePolicy:
    """See `moorage.auth.ports.Policy`.

    Args:
        database: projects, grants, robots.
        clock: what has expired.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def allowed(self, identity: Identity, name: str) -> frozenset[str]:
        """See `Policy.allowed`; a handful of lookups by index."""
        now = self._clock.now()
        return (await self._database.read(lambda connection: decide(connection, identity, name, now))).actions

    async def granted(self, identity: Identity, scopes: Sequence[Scope]) -> list[Scope]:
        """See `Policy.granted`."""
        found = [await self._grant(identity, scope) for scope in scopes]
        return [scope for scope in found if scope is not None]

    async def binding(self, name: str) -> Binding:
        """See `Policy.binding`: one lookup for a repository that is there."""
        row = await self._database.lookup(BINDING, name)
        if row is not None:
            project, repository = row
            assert isinstance(project, int)  # noqa: S101 - a column's type
            assert isinstance(repository, int)  # noqa: S101 - the same
            return Binding(project, repository)
        chain = await self._database.read(lambda connection: chain_of(connection, name))
        return Binding(chain[-1].id, 0)

    async def _grant(self, identity: Identity, scope: Scope) -> Scope | None:
        if (scope.type, scope.name) == _CATALOG:
            known = identity.kind != "anonymous" and "*" in scope.actions and _lists(identity)
            return Scope(*_CATALOG, frozenset({"*"})) if known else None
        if scope.type != "repository" or not _is_name(scope.name):
            return None
        allowed = await self.allowed(identity, scope.name) - {ADMIN}
        wanted = scope.actions | {OVERWRITE} if PUSH in scope.actions else scope.actions
        actions = allowed if "*" in scope.actions else allowed & wanted
        return Scope(scope.type, scope.name, actions) if actions else None


def _lists(identity: Identity) -> bool:
    """Scopes of a credential must allow the catalog in so many words."""
    return identity.scopes is None or any((scope.type, scope.name) == _CATALOG for scope in identity.scopes)


def _is_name(text: str) -> bool:
    try:
        parse_name(text)
    except NameInvalid:
        return False
    return True
