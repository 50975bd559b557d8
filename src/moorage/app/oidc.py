"""Wiring of OIDC: what it imports is large, so it happens when the first login or the first job needs it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.accounts.sessions import Sessions
from moorage.auth.trust import looks_like_token
from moorage.core.errors import Unavailable
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.accounts.job_tokens import JobTokenLogin
    from moorage.accounts.journal import Journal
    from moorage.auth.oidc_issuers import Issuers
    from moorage.auth.settings import LocalSettings, OidcSettings
    from moorage.core.access import Identity, Scope
    from moorage.core.clock import Clock
    from moorage.http.ui.oidc import Flow, OidcPages
    from moorage.http.ui.view import View
    from moorage.metadata.database import Database

_log = logger("moorage.app")


class Oidc:
    """All that has to do with it in one worker. An implementation of `moorage.auth.ports.JobTokens`, too.

    Args:
        settings: providers and issuers.
        database: users, rules and sessions.
        clock: what has expired.
        journal: where logins are noted.
    """

    def __init__(self, settings: LocalSettings, database: Database, clock: Clock, journal: Journal) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._journal = journal
        self._sessions = Sessions(database, clock)
        self._issuers: Issuers | None = None
        self._jobs: JobTokenLogin | None = None
        self._lock = asyncio.Lock()
        self._loading = threading.Lock()

    def pages(self, view: View) -> OidcPages:
        """Login of people, with pages made by `view`."""
        from moorage.http.ui.oidc import OidcPages

        return OidcPages(view, self._load_flow, self._clock)

    def recognises(self, password: str) -> bool:
        """See `JobTokens.recognises`."""
        return looks_like_token(password)

    async def identify(
        self,
        token: str,
        user: str = "",
        address: str = "",
        request_id: str = "",
        scopes: Sequence[Scope] | None = None,
    ) -> Identity:
        """See `JobTokens.identify`."""
        async with self._lock:
            if self._jobs is None:
                self._jobs = await asyncio.to_thread(self._load_jobs)
        return await self._jobs.identify(token, user, address, request_id, scopes)

    async def close(self) -> None:
        """Let go of connections."""
        if self._issuers is not None:
            await self._issuers.close()

    def _load_issuers(self) -> Issuers:
        from moorage.auth.oidc_issuers import Issuers

        with self._loading:
            if self._issuers is None:
                self._issuers = Issuers(self._settings.issuers)
            return self._issuers

    def _load_jobs(self) -> JobTokenLogin:
        from moorage.accounts.job_tokens import JobTokenLogin
        from moorage.accounts.policy import DatabasePolicy

        policy = DatabasePolicy(self._database, self._clock)
        return JobTokenLogin(self._database, self._clock, self._load_issuers(), self._journal, policy)

    def _load_flow(self) -> Flow:
        from moorage.accounts.oidc_login import OidcLogin
        from moorage.auth.login_state import StateSeal
        from moorage.auth.oidc import OidcProvider
        from moorage.http.ui.oidc import Flow

        issuers = self._load_issuers()
        providers = {
            one.name: OidcProvider(_with_secret(one), issuers.get(one.issuer), self._clock)
            for one in self._settings.oidc
        }
        login = OidcLogin(self._database, self._clock, self._sessions, self._journal)
        return Flow(providers, login, StateSeal(self._settings.secret))


def _with_secret(settings: OidcSettings) -> OidcSettings:
    if settings.client_secret_file is None:
        return settings
    try:
        return replace(settings, client_secret=settings.client_secret_file.read_text().strip())
    except (OSError, ValueError) as error:
        _log.error("the secret of an OIDC provider cannot be read", provider=settings.name, error=str(error))
        raise Unavailable("This registry cannot log people in at the moment; the operator finds the reason.") from None
