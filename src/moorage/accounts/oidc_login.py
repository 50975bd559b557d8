"""Somebody whom an OIDC provider vouches for logs in: a user of ours, and a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.accounts.arrivals import arrive
from moorage.auth.oidc import arrival_of
from moorage.core.access import Caller, Identity
from moorage.core.audit import OK, REFUSED, AuditEntry
from moorage.core.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.accounts.journal import Journal
    from moorage.accounts.sessions import Sessions
    from moorage.auth.settings import OidcSettings
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

DISABLED = "Your account here is disabled; ask an administrator."


class OidcLogin:
    """The use case.

    Args:
        database: users and groups.
        clock: for times.
        sessions: makes the session.
        journal: where logins and refusals are noted.
    """

    def __init__(self, database: Database, clock: Clock, sessions: Sessions, journal: Journal) -> None:
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._journal = journal

    async def enter(
        self,
        settings: OidcSettings,
        claims: Mapping[str, Any],
        address: str = "",
        request_id: str = "",
        *,
        old: str = "",
    ) -> str:
        """The secret of a new session.

        Args:
            settings: of the provider.
            claims: what it says of the person, verified.
            address: of the client.
            request_id: for the audit log.
            old: the secret of a session that the same browser has so far, which ends.

        Raises:
            Denied: the person may not come in; the sentence says why.
        """
        source = f"oidc:{settings.name}"
        subject = str(claims.get("sub"))
        stranger = Caller(Identity("", "unknown", credential=source), address=address, request_id=request_id)
        try:
            arrival = arrival_of(settings, claims)
            user = await arrive(self._database, self._clock, arrival, stranger, create=settings.create)
            if user.disabled:
                raise Denied(DISABLED)
        except Denied as error:
            detail: dict[str, object] = {"subject": subject, "reason": error.message}
            self._journal.note(AuditEntry("login", REFUSED, stranger, "user", "", detail=detail))
            raise
        who = Identity(user.name, "user", user.id, admin=user.admin, credential=source)
        caller = Caller(who, address=address, request_id=request_id)
        detail = {"subject": subject, "first": user.created}
        self._journal.note(AuditEntry("login", OK, caller, "user", user.name, detail=detail))
        self._journal.used("user", user.id)
        return await self._sessions.create(user.id, user.epoch, address, old=old, request_id=request_id)
