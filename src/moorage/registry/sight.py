"""What is to be seen where there are no accounts of our own: the port `moorage.auth.ports.Sight`, twice."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from moorage.core.access import PULL
from moorage.core.errors import NameInvalid
from moorage.core.names import parse_name
from moorage.metadata.blobs import find_source, source_among
from moorage.metadata.repositories import list_repositories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.core.access import Identity
    from moorage.metadata.database import Database

_ALL = "*"


class OpenSight:
    """Everybody who gets in sees all there is: the registry is open, or every user of a file is as good as the other.

    Args:
        database: repositories.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def repositories(self, identity: Identity, after: str, limit: int) -> list[str]:
        """See `Sight.repositories`."""
        return await self._database.read(lambda connection: list_repositories(connection, after, limit))

    async def source(self, identity: Identity, digest: str) -> str | None:
        """See `Sight.source`."""
        return await self._database.read(lambda connection: find_source(connection, digest))


class TokenSight:
    """What another issuer's token says, and nothing else: there is nobody else to ask.

    Args:
        database: repositories.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def repositories(self, identity: Identity, after: str, limit: int) -> list[str]:
        """See `Sight.repositories`. With the right to list, all of them, as in Distribution."""
        if not identity.catalog:
            return []
        return await self._database.read(lambda connection: list_repositories(connection, after, limit))

    async def source(self, identity: Identity, digest: str) -> str | None:
        """See `Sight.source`: one of the repositories that the token names."""
        names = list(_pulled(identity))
        return await self._database.read(lambda connection: source_among(connection, digest, names))


def _pulled(identity: Identity) -> Iterator[str]:
    """Names of repositories that a token may pull; what is no name here is none there."""
    for name, access in (identity.access or {}).items():
        if access.actions & {PULL, _ALL}:
            with suppress(NameInvalid):
                yield parse_name(name)
