"""Why somebody may do something, or may not: the rules that had a say, and the one that decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moorage.accounts.decision import ADMIN_OF_ALL, GRANT, PUBLIC, ROBOT, SCOPES, Decision, Reason, decide, home_of
from moorage.core.access import ADMIN, ANONYMOUS, EVERYTHING, Identity
from moorage.core.errors import Invalid, ObjectUnknown
from moorage.core.names import parse_name
from moorage.metadata.grants import AUTHENTICATED, EVERYBODY, principal_names
from moorage.metadata.projects import chain_of, is_within
from moorage.metadata.robots import find_robot_by_name
from moorage.metadata.users import find_user_by_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.accounts.explain_plain import PlainRule, PlainRules
    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

DISABLED = "disabled"
"""Beside the kinds of `Reason`: the account may not log in."""

_UNKNOWN = "There is no such user, robot or project, or it is not yours to see."


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that had a say about an action.

    Attributes:
        kind: `admin`, `grant`, `public`, `robot`, `scopes`, `system` or `disabled`; where no grant counts, the mode
            (`none` or `htpasswd`).
        gives: whether it allows; else it denies.
        sentence: the same for people.
        grant: the id of which one, for kind `grant`.
        project: where, empty for the root and for what has no place.
    """

    kind: str
    gives: bool
    sentence: str
    grant: int | None = None
    project: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether somebody may do something, and why.

    Attributes:
        allowed: whether.
        actions: all that is allowed there, sorted.
        project: the name of the project that the repository belongs to; empty for the root, and for whoever asks about
            oneself and may see nothing of it.
        decisive: the rule that decided; None where no rule allows it.
        rules: all that had a say about this action, in the order in which they were asked.
        reason: the outcome for people, with the rule that decided.
    """

    allowed: bool
    actions: tuple[str, ...]
    project: str
    decisive: Rule | None
    rules: tuple[Rule, ...]
    reason: str


class Explain:
    """The use case of asking why.

    Args:
        database: facts.
        clock: what has expired.
        plain: what decides where grants do not; None: they do.
    """

    def __init__(self, database: Database, clock: Clock, plain: PlainRules | None = None) -> None:
        self._database = database
        self._clock = clock
        self._plain = plain

    async def explain(self, caller: Caller, kind: str, principal: str, name: str, action: str) -> Explanation:
        """Whether a principal may do `action` on the repository (or project) `name`, and which rule decided.

        Args:
            caller: an admin of the system or of the project that `name` belongs to, or the principal itself.
            kind: `user`, `robot`, `anonymous` or `authenticated`.
            principal: its name; empty for the last two.
            name: of a repository, whether there is one or not.
            action: pull, push, overwrite, delete or admin.

        Raises:
            Invalid, NameInvalid: a word or name that is none.
            ObjectUnknown: there is no such principal, or it is not the caller's business.
            Conflict: the htpasswd file decides and cannot be read.
        """
        if action not in EVERYTHING:
            raise Invalid(f"An action is one of {', '.join(sorted(EVERYTHING))}.")
        name = parse_name(name)
        now = self._clock.now()

        def query(connection: Connection) -> Explanation:
            if self._plain is not None and self._plain.count(connection):
                return _plainly(connection, self._plain.rule_for(kind, principal), name)
            asks = caller.identity
            oneself = (asks.kind, asks.name) == (kind, principal) and bool(asks.id)
            if not oneself and ADMIN not in decide(connection, asks, name, now).actions:
                raise ObjectUnknown(_UNKNOWN)
            identity, disabled = _find(connection, kind, principal)
            if not oneself and _is_foreign(connection, asks, identity, name, now):
                raise ObjectUnknown(_UNKNOWN)
            decision = decide(connection, identity, name, now)
            if oneself and not _is_seen(connection, asks, decision, now):
                decision = _without_place(decision, asks)
            return _explained(connection, decision, action, disabled=disabled)

        return await self._database.read(query)


def _plainly(connection: Connection, rule: PlainRule, name: str) -> Explanation:
    """The explanation where no grant counts. Whoever gets to ask is an admin then."""
    project = chain_of(connection, name)[-1].name
    told = Rule(rule.mode, rule.gives, rule.sentence)
    reason = f"{'Allowed' if rule.gives else 'Not allowed'}. {rule.sentence}"
    return Explanation(rule.gives, tuple(sorted(rule.actions)), project, told, (told,), reason)


def _is_foreign(connection: Connection, asks: Identity, robot: Identity, name: str, now: float) -> bool:
    """Whether that is a robot of a project that neither holds the name nor is the asker's to manage."""
    home = home_of(connection, robot)
    return home is not None and not is_within(name, home) and ADMIN not in decide(connection, asks, home, now).actions


def _is_seen(connection: Connection, asks: Identity, decision: Decision, now: float) -> bool:
    """Whether somebody who asked about a name may do anything on it, or in its project."""
    return bool(decision.actions or decide(connection, asks, decision.project.name, now).actions)


def _without_place(decision: Decision, asks: Identity) -> Decision:
    """The same for one who is not to learn which projects there are: with the rules about that one alone."""
    own = (asks.kind, asks.id)
    mine = (
        reason
        for reason in decision.reasons
        if reason.grant is None or (reason.grant.principal_kind, reason.grant.principal_id) == own
    )
    return replace(decision, project=replace(decision.project, name=""), reasons=tuple(mine))


def _find(connection: Connection, kind: str, name: str) -> tuple[Identity, bool]:
    """Who that is, and whether the account is disabled."""
    if kind == EVERYBODY:
        return ANONYMOUS, False
    if kind == AUTHENTICATED:
        return Identity("", AUTHENTICATED), False
    if kind == "user":
        user = find_user_by_name(connection, name)
        if user is not None:
            return Identity(user.name, kind, user.id, admin=user.admin), user.disabled
    elif kind == "robot":
        robot = find_robot_by_name(connection, name)
        if robot is not None:
            return Identity(robot.name, kind, robot.id), robot.disabled
    else:
        raise Invalid("Ask about a user, a robot, anonymous or authenticated.")
    raise ObjectUnknown(_UNKNOWN)


def _explained(connection: Connection, decision: Decision, action: str, *, disabled: bool) -> Explanation:
    asked = [reason for reason in decision.reasons if action in reason.actions]
    names = principal_names(connection, [reason.grant for reason in asked if reason.grant is not None])
    rules = [_rule(reason, names) for reason in asked]
    if disabled:
        rules.append(Rule(DISABLED, gives=False, sentence="The account is disabled: it cannot log in."))
    allowed = action in decision.actions and not disabled
    decisive = next((rule for rule in rules if rule.gives == allowed), None)
    told = decisive.sentence if decisive is not None else "No rule allows it."
    return Explanation(
        allowed,
        tuple(sorted(decision.actions)) if not disabled else (),
        decision.project.name,
        decisive,
        tuple(rules),
        f"{'Allowed' if allowed else 'Not allowed'}. {told}",
    )


def _rule(reason: Reason, names: dict[tuple[str, int], str]) -> Rule:
    where = f"the project {reason.project}" if reason.project else "the root"
    grant = reason.grant
    if reason.kind == GRANT and grant is not None:
        whom = f"{grant.principal_kind} {names.get((grant.principal_kind, grant.principal_id), '')}".strip()
        what = grant.role or grant.actions
        on = f" for {grant.pattern}" if grant.pattern else ""
        verb = "allows" if reason.gives else "denies"
        sentence = f"Grant {grant.id} in {where} {verb} {whom} {what}{on}."
        return Rule(GRANT, reason.gives, sentence, grant.id, reason.project)
    sentences = {
        ADMIN_OF_ALL: "An admin of the system may do everything.",
        PUBLIC: f"Everybody may pull, as {where} is public.",
        ROBOT: f"A robot of {where} is allowed nothing outside of it.",
        SCOPES: "The scopes of the credential leave that out.",
    }
    return Rule(reason.kind, reason.gives, sentences.get(reason.kind, "The program itself."), None, reason.project)
