"""The wiring of the management API: its use cases, for the server's door and for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.http.api.door import ApiDoor

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.accounts.explain_plain import PlainRules
    from moorage.accounts.login import Login
    from moorage.auth.passwords import Passwords
    from moorage.auth.ports import Attempts, Authenticator, CertificateOwners
    from moorage.auth.settings import HtpasswdSettings, LocalSettings
    from moorage.core.audit import AuditEntry
    from moorage.core.clock import Clock
    from moorage.http.request_limit import RequestLimit
    from moorage.metadata.database import Database


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the use cases are built of.

    Attributes:
        database, clock: facts and time.
        mode: "none", "htpasswd", "token" or "local", as in the settings.
        htpasswd: the file of the second; None in the others.
        guessed: "none" is only what nobody said otherwise: a server may have been started with accounts.
        authenticator: says who asks; None where the registry is open.
        login: checks names and passwords; None where there are no accounts of our own.
        local: settings of these; None likewise.
        passwords: makes and checks hashes; None: made when it is needed.
        attempts: counts wrong passwords; None: nobody does.
        limit: how often somebody may ask; None where that is not limited.
        note: has what was refused written to the audit log; None where there is none.
        prefix: of all addresses, without a slash at the end.
        certificates: whose client certificates are; None: they are not looked at.
    """

    database: Database
    clock: Clock
    mode: str = "none"
    htpasswd: HtpasswdSettings | None = None
    guessed: bool = False
    authenticator: Authenticator | None = None
    login: Login | None = None
    local: LocalSettings | None = None
    passwords: Passwords | None = None
    attempts: Attempts | None = None
    limit: RequestLimit | None = None
    note: Callable[[AuditEntry], None] | None = None
    prefix: str = ""
    certificates: CertificateOwners | None = None


def api_door(parts: ApiParts) -> ApiDoor:
    """The door; everything behind it is imported when the first request comes."""

    def load() -> Any:
        from moorage.accounts.sessions import Sessions
        from moorage.http.api.app import build
        from moorage.http.api.who import WhoAsks

        sessions = Sessions(parts.database, parts.clock) if parts.mode == "local" else None
        who = WhoAsks(parts.mode, parts.authenticator, sessions, parts.limit, parts.note, parts.certificates)
        return build(services(parts), who, parts.prefix)

    return ApiDoor(None if parts.mode == "token" else load, parts.note)


def services(parts: ApiParts) -> dict[type, object]:
    """All use cases of the API, by their class."""
    from moorage.accounts.access_tokens import LONGEST_SECONDS, AccessTokens
    from moorage.accounts.audit_log import AuditLog
    from moorage.accounts.audit_readers import AuditReaders
    from moorage.accounts.explain import Explain
    from moorage.accounts.grants import Grants
    from moorage.accounts.groups import Groups
    from moorage.accounts.own_groups import OwnGroups
    from moorage.accounts.policy import DatabasePolicy
    from moorage.accounts.policy_document import PolicyDocuments
    from moorage.accounts.projects import Projects
    from moorage.accounts.robots import Robots
    from moorage.accounts.search import Search
    from moorage.accounts.sessions import Sessions
    from moorage.accounts.trust_rules import TrustRules
    from moorage.accounts.users import Users
    from moorage.http.api.keys import KeyRing
    from moorage.http.api.sessions import SessionDoor

    database, clock = parts.database, parts.clock
    policy = DatabasePolicy(database, clock)
    longest = LONGEST_SECONDS if parts.local is None else parts.local.personal_seconds
    return {
        AccessTokens: AccessTokens(database, clock, longest),
        AuditLog: AuditLog(database),
        AuditReaders: AuditReaders(database, policy),
        Explain: Explain(database, clock, _plain_rules(parts)),
        Grants: Grants(database, clock),
        Groups: Groups(database, clock),
        KeyRing: KeyRing(database, clock, parts.local),
        OwnGroups: OwnGroups(database),
        PolicyDocuments: PolicyDocuments(Grants(database, clock)),
        Projects: Projects(database, clock),
        Robots: Robots(database, clock, policy),
        Search: Search(database, clock),
        SessionDoor: SessionDoor(parts.login, Sessions(database, clock)),
        TrustRules: TrustRules(database, clock, policy, _plain_issuers(parts.local)),
        Users: Users(database, clock, _passwords(parts), parts.attempts),
    }


def _plain_rules(parts: ApiParts) -> PlainRules | None:
    """What decides where grants do not."""
    if parts.mode == "local":
        return None
    from moorage.accounts.explain_plain import PlainRules
    from moorage.auth.htpasswd import has_user

    def is_user(name: str) -> bool:
        return parts.htpasswd is not None and has_user(parts.htpasswd, name)

    return PlainRules(parts.mode, is_user, guessed=parts.guessed)


def _plain_issuers(local: LocalSettings | None) -> frozenset[str]:
    """OIDC issuers that the operator wants to reach without TLS."""
    issuers = local.issuers if local is not None else ()
    return frozenset(one.issuer for one in issuers if one.issuer.startswith("http://"))


def _passwords(parts: ApiParts) -> Passwords:
    if parts.passwords is not None:
        return parts.passwords
    from moorage.auth.passwords import Passwords
    from moorage.auth.slow_checks import password_executor

    return Passwords(password_executor())
