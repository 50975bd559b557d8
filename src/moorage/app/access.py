"""Wiring of who asks and how they prove it: what is not configured is not even imported."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moorage.accounts.journal import Journal
    from moorage.accounts.login import Login
    from moorage.accounts.login_watch import WatchedLogins
    from moorage.app.audit import Watch
    from moorage.auth.external_settings import ExternalSettings
    from moorage.auth.passwords import Passwords
    from moorage.auth.ports import Attempts, Authenticator, CertificateOwners, PasswordSource, Policy, Sight
    from moorage.auth.settings import HtpasswdSettings, LocalSettings
    from moorage.config.settings import Settings
    from moorage.core.clock import Clock
    from moorage.http.door import Door
    from moorage.http.metrics_access import MetricsAccess
    from moorage.http.request_limit import RequestLimit
    from moorage.http.settings import HttpSettings
    from moorage.http.v2.guard import Guard
    from moorage.metadata.database import Database

PATIENCE = 1.0
"""Seconds after which the counters of failed logins are asked again where a password comes with every request."""


@dataclass(slots=True)
class Access:
    """What there is of it in one worker.

    Attributes:
        sight: what each gets to see of what there is.
        authenticator: who asks; None where everybody may do everything.
        policy: what they may do; None as above.
        certificates: whose client certificates are; None where they are not looked at.
        login, passwords, attempts: of accounts of our own; None in other modes.
        doors: of the root beside `/v2/`.
        starts: to be awaited once the database is open, before anything is served.
        tasks: to be run beside the requests for as long as the worker lives.
        closes: to be awaited at its end, before the database is closed.
    """

    sight: Sight
    authenticator: Authenticator | None = None
    policy: Policy | None = None
    login: Login | None = None
    passwords: Passwords | None = None
    attempts: Attempts | None = None
    certificates: CertificateOwners | None = None
    doors: list[Door] = field(default_factory=list)
    starts: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    tasks: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    closes: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def guard(self, journal: Journal | None, http: HttpSettings) -> Guard | None:
        """What stands before `/v2/`; None where everybody may do everything."""
        if self.authenticator is None or self.policy is None:
            return None
        from moorage.http.same_site import allowed_origins
        from moorage.http.v2.guard import Guard

        note = journal.note if journal is not None else None
        return Guard(self.authenticator, self.policy, self.certificates, note, allowed_origins(http.headers))

    def metrics_reader(self, mode: str, journal: Journal | None) -> MetricsAccess | None:
        """Who may read the metrics at the public listener; None where everybody may do everything."""
        if self.authenticator is None:
            return None
        from moorage.http.metrics_access import MetricsAccess

        note = journal.note if journal is not None else None
        return MetricsAccess(self.authenticator, self.certificates, everybody=mode == "htpasswd", note=note)


def access_of(
    settings: Settings,
    database: Database,
    clock: Clock,
    watching: Watch,
    attempts: Callable[[bytes], Attempts | None],
) -> Access:
    """What the section `auth` asks for.

    Args:
        settings: all of them.
        database: facts.
        clock: time.
        watching: where logins and refusals are noted, and requests limited.
        attempts: makes who counts failed logins, given a secret that all workers share.
    """
    from moorage.registry.sight import OpenSight, TokenSight

    if settings.auth == "none":
        return Access(OpenSight(database))
    if watching.journal is None:
        raise RuntimeError("logins and refusals have nowhere to go")
    from moorage.accounts.login_watch import WatchedLogins

    if settings.htpasswd is not None:
        watch = WatchedLogins(watching.journal, clock, attempts(_secret(settings)), patience=PATIENCE)
        return _htpasswd(OpenSight(database), settings.htpasswd, watch)
    if settings.token is not None:
        return _external(TokenSight(database), settings.token, clock, WatchedLogins(watching.journal, clock))
    if settings.local is not None:
        return _local(settings, settings.local, database, clock, watching.journal, attempts, watching.requests)
    raise RuntimeError(f"auth is {settings.auth!r}, and nothing says how")


def _htpasswd(sight: Sight, settings: HtpasswdSettings, watch: WatchedLogins) -> Access:
    from moorage.auth.basic import BasicAuthenticator, password_executor
    from moorage.auth.htpasswd import HtpasswdFile
    from moorage.auth.plain_policy import PlainPolicy

    return Access(sight, BasicAuthenticator(HtpasswdFile(settings), password_executor(), watch=watch), PlainPolicy())


def _external(sight: Sight, settings: ExternalSettings, clock: Clock, watch: WatchedLogins) -> Access:
    from moorage.auth.external_tokens import ExternalTokens
    from moorage.auth.plain_policy import PlainPolicy

    return Access(sight, ExternalTokens(settings, clock, watch=watch), PlainPolicy())


def _secret(settings: Settings) -> bytes:
    """What failed logins are counted under: where no file could be made for it, each worker counts by itself."""
    return settings.limits.secret.encode() or secrets.token_bytes(32)


def _local(
    settings: Settings,
    local: LocalSettings,
    database: Database,
    clock: Clock,
    journal: Journal,
    attempts: Callable[[bytes], Attempts | None],
    limit: RequestLimit | None,
) -> Access:
    """Accounts of our own: the login chain, the keys, the token endpoint."""
    from moorage.accounts.issue import Issue
    from moorage.accounts.keys import Keys
    from moorage.accounts.login import Challenges, Login
    from moorage.accounts.login_watch import WatchedLogins
    from moorage.accounts.policy import DatabasePolicy
    from moorage.accounts.refresh import RefreshTokens
    from moorage.accounts.sight import DatabaseSight
    from moorage.app.oidc import Oidc
    from moorage.app.ui import UiParts, pages_door
    from moorage.auth.keys import master_key
    from moorage.auth.passwords import Passwords
    from moorage.auth.registry_tokens import TokenReader
    from moorage.auth.slow_checks import password_executor
    from moorage.http.token.door import TokenDoor

    counted = attempts(master_key(local.secret))
    watch = WatchedLogins(journal, clock, counted)
    oidc = Oidc(local, database, clock, journal)
    reader = TokenReader(local.issuer, local.service, clock)
    keys = Keys(database, local, reader, clock)
    passwords = Passwords(password_executor())
    sources = _directories(local)
    login = Login(
        database,
        clock,
        passwords,
        keys,
        reader,
        journal,
        challenges=Challenges(local.realm, local.service, settings.http.prefix.rstrip("/")),
        sources=sources,
        watch=watch,
        jobs=oidc,
    )
    policy = DatabasePolicy(database, clock)
    certificates = _certificates(local, database, clock, watch)
    issue = Issue(policy, keys, local, journal, clock)
    refresh = RefreshTokens(database, clock, local, journal)
    pages = UiParts(local, database, clock, login, oidc, journal, limit)
    return Access(
        DatabaseSight(database, clock),
        login,
        policy,
        login,
        passwords,
        counted,
        certificates=certificates,
        doors=[TokenDoor(login, issue, refresh, keys, local.service, limit, certificates), pages_door(pages)],
        starts=[keys.load],
        tasks=[keys.run],
        closes=[oidc.close, *(each.close for each in sources)],
    )


def _certificates(
    local: LocalSettings, database: Database, clock: Clock, watch: WatchedLogins
) -> CertificateOwners | None:
    if local.certificates is None:
        return None
    from moorage.accounts.certificate_login import CertificateLogin
    from moorage.auth.certificates import Certificates

    return CertificateLogin(database, clock, Certificates(local.certificates, clock), watch)


def _directories(local: LocalSettings) -> list[PasswordSource]:
    if not local.ldap:
        return []
    from moorage.auth.ldap import LdapDirectory

    return [LdapDirectory(each) for each in local.ldap]
