"""Keyless CI: a job shows the OIDC token that its CI system gave it, in place of a robot's secret.

The token is good where a trust rule says so: its issuer signed it, it was made for our audience, and its claims fulfil
every condition of the rule. Then the job is the rule's robot, for as long as the token lives.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from moorage.auth.oidc_tokens import TokenRefused, audiences, check_times, read_token, subject
from moorage.auth.trust import BadCondition, claim_at, looks_like_token, parse_conditions
from moorage.core.access import Caller, Identity
from moorage.core.audit import OK, REFUSED, AuditEntry
from moorage.core.errors import Unauthorized
from moorage.metadata.trust_rules import live_rules_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moorage.accounts.journal import Journal
    from moorage.auth.oidc_issuers import Issuers
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database
    from moorage.metadata.trust_rules import LiveRule

_log = logger("moorage.accounts")

REFUSED_SENTENCE = (
    "The token of this job is not accepted: it may have expired, be for another audience, or fulfil no trust rule or "
    "several; the registry's audit log has the reason."
)

LONGEST_LIFE = 86_400.0
"""Seconds that a job's token may be made for. Kubernetes' old tokens of service accounts, which never end, are none."""

ANY_ROBOT = frozenset({"", "oidc", "<token>", "oauth2accesstoken"})
"""User names that leave it to the rules which robot the job is."""

MOST_NOTED = 10_000
"""Tokens of which is remembered that the audit log has them."""


class JobTokenLogin:
    """An implementation of `moorage.auth.ports.JobTokens`.

    Args:
        database: the rules.
        clock: what has expired.
        issuers: their keys.
        journal: where logins are noted.
    """

    def __init__(self, database: Database, clock: Clock, issuers: Issuers, journal: Journal) -> None:
        self._database = database
        self._clock = clock
        self._issuers = issuers
        self._journal = journal
        self._noted: OrderedDict[bytes, None] = OrderedDict()

    def recognises(self, password: str) -> bool:
        """See `JobTokens.recognises`."""
        return looks_like_token(password)

    async def identify(self, token: str, user: str = "", address: str = "", request_id: str = "") -> Identity:
        """See `JobTokens.identify`."""
        told: dict[str, object] = {}
        try:
            rule, claims = await self._rule_for(token, user, told)
        except TokenRefused as error:
            caller = Caller(Identity(user[:256], "unknown"), address=address, request_id=request_id)
            detail = {**told, "reason": str(error)}
            self._journal.note(AuditEntry("login.job", REFUSED, caller, "robot", user[:256], detail=detail))
            raise Unauthorized(REFUSED_SENTENCE) from None
        who = Identity(rule.robot, "robot", rule.robot_id, credential=f"oidc:{rule.name}")
        self._journal.used("robot", rule.robot_id)
        self._journal.used("rule", rule.id)
        if self._is_news(token):
            caller = Caller(who, address=address, request_id=request_id)
            matched = {".".join(path): claim_at(claims, path) for path in _claims_of(rule)}
            detail = {**told, "rule": rule.name, "claims": matched}
            self._journal.note(AuditEntry("login.job", OK, caller, "robot", rule.robot, detail=detail))
        return who

    async def _rule_for(self, text: str, user: str, told: dict[str, object]) -> tuple[LiveRule, Mapping[str, Any]]:
        """The rule that a token fulfils, and its claims; `told` gets what the audit log wants to know on the way."""
        token = read_token(text)
        told["issuer"] = token.issuer[:512]
        rules = await self._database.read(lambda connection: live_rules_of(connection, token.issuer))
        if not rules:
            raise TokenRefused("no trust rule names this issuer")
        issuer = self._issuers.get(token.issuer)
        claims = await issuer.verify(token)
        now = self._clock.now()
        check_times(claims, now, longest=LONGEST_LIFE)
        told["subject"] = subject(claims)
        wanted = "" if user.lower() in ANY_ROBOT else user.lower()
        found = [rule for rule in rules if _is_for(rule, wanted, now) and _fits(rule, issuer.url, claims)]
        return _only(found), claims

    def _is_news(self, token: str) -> bool:
        key = hashlib.sha256(token.encode()).digest()
        if key in self._noted:
            return False
        self._noted[key] = None
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        return True


def _only(found: Sequence[LiveRule]) -> LiveRule:
    """Rules of one robot say the same; between robots a job has to choose."""
    if not found:
        raise TokenRefused("its audience and claims fulfil no trust rule")
    if len({rule.robot_id for rule in found}) > 1:
        raise TokenRefused("it fulfils rules of several robots; give the name of one of them as user name")
    return found[0]


def _is_for(rule: LiveRule, wanted: str, now: float) -> bool:
    alive = rule.expires_at is None or now < rule.expires_at
    return alive and (not wanted or rule.robot == wanted)


def _fits(rule: LiveRule, issuer: str, claims: Mapping[str, Any]) -> bool:
    if rule.audience not in audiences(claims):
        return False
    try:
        conditions = parse_conditions(issuer, list(rule.conditions))
    except BadCondition as error:
        _log.error("a trust rule cannot be understood and is not used", rule=rule.name, reason=str(error))
        return False
    return all(condition.holds(claims) for condition in conditions)


def _claims_of(rule: LiveRule) -> list[tuple[str, ...]]:
    written = [condition["claim"] for condition in rule.conditions]
    return [(claim,) if isinstance(claim, str) else tuple(claim) for claim in written]
