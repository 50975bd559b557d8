"""Finding repositories and projects by a part of their names, among those that one may see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from moorage.accounts.visibility import PROJECT, REPOSITORY, Found, Wanted, search
from moorage.core.errors import Invalid

if TYPE_CHECKING:
    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

KINDS = (PROJECT, REPOSITORY)
LONGEST = 255
"""Characters of a name."""

_IN_NAMES = re.compile(r"[a-z0-9._/-]+", re.ASCII)


class Search:
    """The use case.

    Args:
        database: what there is.
        clock: what has expired.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, caller: Caller, text: str, *, kind: str = "", after: str = "", limit: int = 100) -> Found:
        """A page of what the caller may see and whose name has the text in it: repositories to pull, and projects.

        A page is full, unless it is the last one or `visibility.MOST_LOOKED_AT` names were looked at for it; then it
        may have less or nothing, and has a next one all the same.

        Args:
            caller: who asks.
            text: a part of a name; large letters count as small ones.
            kind: only these, `project` or `repository`.
            after: `kind:name` of the last one of the page before.
            limit: how many.

        Raises:
            Invalid: an empty text, one that is too long, or an `after` that is none.
        """
        text = text.lower()
        if not text or len(text) > LONGEST:
            raise Invalid(f"Search for a part of a name, of 1 to {LONGEST} characters.")
        wanted = Wanted(text, (kind,) if kind else KINDS, _behind(after), limit)
        if _IN_NAMES.fullmatch(text) is None:
            return Found([], None)  # no name has such a character
        now = self._clock.now()
        return await self._database.read(lambda connection: search(connection, caller.identity, wanted, now))


def _behind(after: str) -> tuple[str, str]:
    if not after:
        return "", ""
    kind, _, name = after.partition(":")
    if kind not in KINDS or len(name) > LONGEST or _IN_NAMES.fullmatch(name) is None:
        raise Invalid("`after` is what the `Link` of the page before has.")
    return name, kind
