"""Lists of tags and repositories: a page at a time, from where the last one ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.core.errors import NameUnknown
from moorage.metadata.repositories import find_repository
from moorage.metadata.tags import list_tags

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.registry.parts import Parts


@dataclass(frozen=True, slots=True)
class Page:
    """Some names in byte order; `more` where others follow. The next page begins after the last of these."""

    names: list[str]
    more: bool


class Listing:
    """The use cases of listing (distribution specification, end-8, and Distribution's catalog)."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._sight = parts.sight
        self._tags_page = parts.settings.tags_page
        self._catalog_page = parts.settings.catalog_page

    async def tags(self, name: str, wanted: int | None, after: str) -> Page:
        """Up to `wanted` tags after `after` (None: a full page; more than a full page is cut to one).

        Raises:
            NameUnknown: no such repository.
        """
        limit = _limit(wanted, self._tags_page)

        def query(connection: Connection) -> list[str]:
            repository = find_repository(connection, name)
            if repository is None:
                raise NameUnknown(detail={"name": name})
            return list_tags(connection, repository, _storable(after), limit + 1) if limit else []

        return _page(await self._database.read(query), limit)

    async def repositories(self, wanted: int | None, after: str, caller: Caller) -> Page:
        """Up to `wanted` names after `after` of repositories that the caller may pull."""
        limit = _limit(wanted, self._catalog_page)
        if not limit:
            return Page([], more=False)
        start = _storable(after)
        return _page(await self._sight.repositories(caller.identity, start, limit + 1), limit)


def _limit(wanted: int | None, page: int) -> int:
    return page if wanted is None else min(wanted, page)


def _page(found: list[str], limit: int) -> Page:
    return Page(found[:limit], more=bool(limit) and len(found) > limit)


def _storable(after: str) -> str:
    """A text that the same names come after, without NUL, which no name has and PostgreSQL does not take."""
    return after.partition("\0")[0]
