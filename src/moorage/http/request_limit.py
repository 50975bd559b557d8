"""The limit of all requests, at every door: who asked too often gets 429."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.access import NOTHING, Caller
from moorage.core.audit import REFUSED, AuditEntry
from moorage.core.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.accounts.rate_limits import RateLimit
    from moorage.core.access import Identity
    from moorage.http.request import Request


class RequestLimit:
    """Counts requests as soon as it is known who asks.

    Args:
        limit: how often they may.
        note: has what was refused written to the audit log; None where there is none.
    """

    def __init__(self, limit: RateLimit, note: Callable[[AuditEntry], None] | None = None) -> None:
        self._limit = limit
        self._note = note

    async def count(self, request: Request, identity: Identity, *, refuse: bool = True) -> None:
        """Count once; `refuse` False: and let it pass whatever was counted.

        Raises:
            TooManyRequests: it is one too many.
        """
        standing = await self._limit.hit(identity, request.address)
        if standing is None or not standing.exceeded or not refuse:
            return
        if self._note is not None:
            self._note(limit_entry("requests", request, identity))
        raise TooManyRequests("Too many requests; try again later.", standing.wait)


def limit_entry(what: str, request: Request, identity: Identity) -> AuditEntry:
    """What the audit log gets of a request that was one too many. `what` was limited."""
    caller = Caller(identity, NOTHING, request.address, request.id)
    kind = "repository" if request.name else "system"
    return AuditEntry("limit", REFUSED, caller, kind, request.name, detail={"reason": what})
