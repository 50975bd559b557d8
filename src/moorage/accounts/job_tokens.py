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
from moorage.core.account_names import project_of
from moorage.core.audit import OK, REFUSED, AuditEntry
from moorage.core.errors import Unauthorized
from moorage.metadata.grants import AUTHENTICATED
from moorage.metadata.projects import is_within
from moorage.metadata.trust_rules import live_rules_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moorage.accounts.journal import Journal
    from moorage.auth.oidc_issuers import Issuers
    from moorage.auth.ports import Policy
    from moorage.core.access import Scope
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database
    from moorage.metadata.trust_rules import LiveRule

_log = logger("moorage.accounts")

REFUSED_SENTENCE = (
    "The token of this job is not accepted: it may have expired, be for another audience, or fulfil no trust rule; the "
    "registry's audit log has the reason."
)
SEVERAL = "The token of this job fulfils rules of several robots; give the name of the one that is meant as user name."

LONGEST_LIFE = 86_400.0
"""Seconds that a job's token may be made for. Kubernetes' old tokens of service accounts, which never end, are none."""

ANY_ROBOT = frozenset({"", "oidc", "<token>", "oauth2accesstoken"})
"""User names that leave it to the rules which robot the job is."""

MOST_NOTED = 10_000
"""Tokens of which is remembered that the audit log has them."""


class _Several(TokenRefused):
    """The token fulfils rules of several robots, and nothing says which one is meant."""

    def __init__(self) -> None:
        super().__init__("it fulfils rules of several robots; give the name of one of them as user name")


class JobTokenLogin:
    """An implementation of `moorage.auth.ports.JobTokens`.

    Args:
        database: the rules.
        clock: what has expired.
        issuers: their keys.
        journal: where logins are noted.
        policy: what the robots may do between which there is a choice.
    """

    def __init__(self, database: Database, clock: Clock, issuers: Issuers, journal: Journal, policy: Policy) -> None:
        self._policy = policy
        self._database = database
        self._clock = clock
        self._issuers = issuers
        self._journal = journal
        self._noted: OrderedDict[bytes, None] = OrderedDict()

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
        told: dict[str, object] = {}
        try:
            rules, claims = await self._rules_for(token, user, told)
            rule = await self._chosen(rules, scopes)
        except TokenRefused as error:
            caller = Caller(Identity(user[:256], "unknown"), address=address, request_id=request_id)
            detail = {**told, "reason": str(error)}
            self._journal.note(AuditEntry("login.job", REFUSED, caller, "robot", user[:256], detail=detail))
            raise Unauthorized(SEVERAL if isinstance(error, _Several) else REFUSED_SENTENCE) from None
        who = _robot(rule)
        self._journal.used("robot", rule.robot_id)
        self._journal.used("rule", rule.id)
        if self._is_news(token):
            caller = Caller(who, address=address, request_id=request_id)
            matched = {".".join(path): claim_at(claims, path) for path in _claims_of(rule)}
            detail = {**told, "rule": rule.name, "claims": matched}
            self._journal.note(AuditEntry("login.job", OK, caller, "robot", rule.robot, detail=detail))
        return who

    async def _rules_for(
        self, text: str, user: str, told: dict[str, object]
    ) -> tuple[list[LiveRule], Mapping[str, Any]]:
        """The rules that a token fulfils, and its claims; `told` gets what the audit log wants to know on the way."""
        token = read_token(text)
        told["issuer"] = token.issuer[:512]
        wanted = "" if user.lower() in ANY_ROBOT else user.lower()
        rules = await self._database.read(lambda connection: live_rules_of(connection, token.issuer, wanted))
        if not rules:
            raise TokenRefused("no trust rule names this issuer")
        issuer = self._issuers.get(token.issuer)
        claims = await issuer.verify(token)
        now = self._clock.now()
        check_times(claims, now, longest=LONGEST_LIFE)
        told["subject"] = subject(claims)
        found = [rule for rule in rules if _is_alive(rule, now) and _fits(rule, issuer.url, claims)]
        if not found:
            raise TokenRefused("its audience and claims fulfil no trust rule")
        return found, claims

    async def _chosen(self, rules: Sequence[LiveRule], scopes: Sequence[Scope] | None) -> LiveRule:
        """The rule of the robot that the job is, out of those that its token fulfils; the oldest one of a robot.

        Whoever manages a robot writes any rule for it, and that must not stand in the way of another project's job. So
        what counts is what each robot may of what is asked, beyond what all may who are logged in. Where none may
        anything, it does not matter which one the token says.
        """
        first: dict[int, LiveRule] = {}
        for rule in rules:
            first.setdefault(rule.robot_id, rule)
        if len(first) == 1:
            return rules[0]
        if scopes is None:
            raise _Several
        given = {row: await self._given(rule, scopes) for row, rule in first.items()}
        best, *others = sorted(given, key=lambda row: len(given[row]), reverse=True)
        if given[best] and not all(given[row] < given[best] for row in others):
            raise _Several
        return first[best]

    async def _given(self, rule: LiveRule, scopes: Sequence[Scope]) -> frozenset[tuple[str, str, str]]:
        """What a rule's robot gets of what is asked, and not everybody: nothing is looked up outside of its project."""
        home = project_of(rule.robot)
        asked = [scope for scope in scopes if scope.type == "repository" and is_within(scope.name, home)]
        everybody = _words(await self._policy.granted(Identity("", AUTHENTICATED), asked))
        return _words(await self._policy.granted(_robot(rule), asked)) - everybody

    def _is_news(self, token: str) -> bool:
        key = hashlib.sha256(token.encode()).digest()
        if key in self._noted:
            return False
        self._noted[key] = None
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        return True


def _robot(rule: LiveRule) -> Identity:
    return Identity(rule.robot, "robot", rule.robot_id, credential=f"oidc:{rule.name}")


def _words(granted: Sequence[Scope]) -> frozenset[tuple[str, str, str]]:
    return frozenset((scope.type, scope.name, action) for scope in granted for action in scope.actions)


def _is_alive(rule: LiveRule, now: float) -> bool:
    return rule.expires_at is None or now < rule.expires_at


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
