"""Trust rules: made, changed and removed by who manages the robot that a rule is for.

A rule is as good as a secret of its robot, and so it is guarded like one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from moorage.accounts.handing_out import check_in_place_of
from moorage.accounts.rights import check_hands_out, check_version, is_system_admin
from moorage.auth.trust import BadCondition, Condition, parse_conditions
from moorage.core.access import ADMIN
from moorage.core.account_names import project_of
from moorage.core.audit import OK, AuditEntry
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.metadata.audit import record
from moorage.metadata.pages import Page
from moorage.metadata.robots import find_robot
from moorage.metadata.trust_rules import (
    NewTrustRule,
    TrustRule,
    add_trust_rule,
    change_trust_rule,
    conditions_text,
    find_trust_rule,
    has_trust_rule,
    list_trust_rules,
    remove_trust_rule,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from moorage.auth.ports import Policy
    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

MAX_NAME = 64
MAX_ISSUER, MAX_AUDIENCE = 512, 512
"""Characters."""

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_UNKNOWN = "There is no such trust rule, or it is not yours to see."
_NO_ROBOT = "There is no such robot, or it is not yours to manage."


@dataclass(frozen=True, slots=True)
class TrustRuleChange:
    """What is to become of a rule; None leaves things as they are. The robot of a rule never changes."""

    name: str | None = None
    issuer: str | None = None
    audience: str | None = None
    conditions: object = None
    disabled: bool | None = None


class TrustRules:
    """The use cases of trust rules.

    Args:
        database: where they are kept.
        clock: for times.
        policy: says who is an admin of which project.
        plain_issuers: issuers that may be reached without TLS, as the configuration lists them.
    """

    def __init__(
        self, database: Database, clock: Clock, policy: Policy, plain_issuers: Collection[str] = frozenset()
    ) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._plain_issuers = frozenset(plain_issuers)

    async def create(
        self,
        caller: Caller,
        name: str,
        *,
        robot_id: int,
        issuer: str,
        audience: str,
        conditions: object,
        disabled: bool = False,
    ) -> TrustRule:
        """Make a rule.

        Args:
            caller: an admin of the robot's project; of the system for a robot of the system.
            name: for the audit log, where the rule's users have the credential `oidc:<name>`; of one robot's rules each
                has another.
            robot_id: who a token that fulfils the rule stands for.
            issuer: what `iss` must be.
            audience: what `aud` must contain.
            conditions: a list as `moorage.auth.trust.parse_conditions` reads it.
            disabled: whether it is switched off for now.

        Raises:
            Invalid: a name, issuer, audience or condition that cannot be.
            ObjectUnknown: there is no such robot, or the caller does not manage it.
            Denied: a robot asks, or the rule's robot may what the caller is denied.
            Conflict: the robot has a rule of that name.
        """
        check_hands_out(caller)
        robot = await self._database.read(lambda connection: find_robot(connection, robot_id))
        if not await self._manages(caller, robot.name if robot is not None else None) or robot is None:
            raise ObjectUnknown(_NO_ROBOT)
        name, issuer, audience = _name(name), self._issuer(issuer), _audience(audience)
        written = _as_json(_conditions(issuer, conditions))
        new = NewTrustRule(name, robot_id, issuer, audience, written, disabled, caller.name)

        def change(connection: Connection) -> TrustRule:
            now = self._clock.now()
            if find_robot(connection, robot_id, hold=True) is None:
                raise ObjectUnknown(_NO_ROBOT)
            check_in_place_of(connection, caller, robot_id, now)
            row = add_trust_rule(connection, new, now)
            if row is None:
                raise Conflict(f"{robot.name} has a trust rule {name} already.")
            detail: dict[str, object] = {
                "robot": robot.name,
                "issuer": issuer,
                "audience": audience,
                "conditions": written,
            }
            record(connection, _entry("trust-rule.create", caller, name, robot.project_id, detail), now)
            return _found(connection, row)

        return await self._database.write(change)

    async def get(self, caller: Caller, row: int) -> TrustRule:
        """A rule.

        Raises:
            ObjectUnknown: there is none, or the caller does not manage its robot.
        """
        found = await self._database.read(lambda connection: find_trust_rule(connection, row))
        return await self._visible(caller, found)

    async def list(
        self,
        caller: Caller,
        *,
        robot_id: int | None = None,
        name: str = "",
        prefix: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[TrustRule]:
        """Rules by name, from behind `after`.

        Args:
            caller: an admin of the system, or one who manages the robot.
            robot_id: of which robot; None for all.
            name: only those of this name; each robot has one at most.
            prefix: only names that begin with this.
            after: the `mark` of the last rule of the page before.
            limit: at most so many.

        Raises:
            Denied: rules of all robots, for who is no system admin.
            ObjectUnknown: there is no such robot, or the caller does not manage it.
        """
        page = Page(after, limit, prefix)
        if robot_id is None:
            if not is_system_admin(caller):
                raise Denied("Name a robot that you manage.")
        else:
            robot = await self._database.read(lambda connection: find_robot(connection, robot_id))
            if not await self._manages(caller, robot.name if robot is not None else None) or robot is None:
                raise ObjectUnknown(_NO_ROBOT)
        return await self._database.read(
            lambda connection: list_trust_rules(connection, page, robot_id=robot_id, name=name)
        )

    async def change(self, caller: Caller, row: int, wanted: TrustRuleChange, version: int | None = None) -> TrustRule:
        """Change a rule.

        Args:
            caller: who manages its robot.
            row: its id.
            wanted: what is to become of it.
            version: the one that the caller looked at; None for any.

        Raises:
            ObjectUnknown: as for `get`.
            Denied: as for `create`.
            Invalid: something that cannot be.
            Conflict: the robot has a rule of that name.
            PreconditionFailed: the rule has another version.
        """
        check_hands_out(caller)
        robot_id = (await self.get(caller, row)).robot_id

        def change(connection: Connection) -> TrustRule:
            find_robot(connection, robot_id, hold=True)  # and with it the names of its rules
            rule = _found(connection, row, hold=True)
            check_version(version, rule.version)
            values = self._values(rule, wanted)
            if not values:
                return rule
            if values.get("disabled") is not True:
                check_in_place_of(connection, caller, rule.robot_id, self._clock.now())
            if "name" in values and has_trust_rule(connection, rule.robot_id, str(values["name"])):
                raise Conflict(f"{rule.robot} has a trust rule {values['name']} already.")
            stored = {**values}
            if "conditions" in values:
                stored["conditions"] = conditions_text(values["conditions"])
            change_trust_rule(connection, row, stored)
            entry = _entry("trust-rule.update", caller, rule.name, rule.project_id, values)
            record(connection, entry, self._clock.now())
            return _found(connection, row)

        return await self._database.write(change)

    async def delete(self, caller: Caller, row: int, version: int | None = None) -> None:
        """Remove a rule; tokens that were got by it end within their lifetime.

        Raises:
            ObjectUnknown, PreconditionFailed: as for `change`.
        """
        check_hands_out(caller)
        await self.get(caller, row)

        def change(connection: Connection) -> None:
            rule = _found(connection, row, hold=True)
            check_version(version, rule.version)
            remove_trust_rule(connection, row)
            entry = _entry("trust-rule.delete", caller, rule.name, rule.project_id, {"robot": rule.robot})
            record(connection, entry, self._clock.now())

        await self._database.write(change)

    async def _manages(self, caller: Caller, robot: str | None) -> bool:
        """Whether the caller manages a robot. Asks the same where there is none, so that it takes as long."""
        project = project_of(robot) if robot is not None else ""
        allowed = await self._policy.allowed(caller.identity, project or "-")
        return is_system_admin(caller) or (bool(project) and ADMIN in allowed)

    async def _visible(self, caller: Caller, rule: TrustRule | None) -> TrustRule:
        manages = await self._manages(caller, rule.robot if rule is not None else None)
        if rule is None or not manages:
            raise ObjectUnknown(_UNKNOWN)
        return rule

    def _values(self, rule: TrustRule, wanted: TrustRuleChange) -> dict[str, Any]:
        """The columns that change. Conditions are looked at again when the issuer changes."""
        values: dict[str, Any] = {}
        issuer = rule.issuer if wanted.issuer is None else self._issuer(wanted.issuer)
        if wanted.name is not None:
            values["name"] = _name(wanted.name)
        if wanted.audience is not None:
            values["audience"] = _audience(wanted.audience)
        if wanted.disabled is not None:
            values["disabled"] = wanted.disabled
        if wanted.conditions is not None or issuer != rule.issuer:
            written = list(rule.conditions) if wanted.conditions is None else wanted.conditions
            values["conditions"] = tuple(_as_json(_conditions(issuer, written)))
        values["issuer"] = issuer
        return {name: value for name, value in values.items() if value != getattr(rule, name)}

    def _issuer(self, text: str) -> str:
        return checked_issuer(text, plain=text in self._plain_issuers)


def checked_issuer(text: str, *, plain: bool = False) -> str:
    """The URL of an issuer, if it may be one (OpenID Connect Discovery 1.0 section 2).

    plain: whether `http` will do.

    Raises:
        Invalid: it cannot be one.
    """
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise Invalid("The issuer is no URL.") from None
    if url.scheme != "https" and not (plain and url.scheme == "http"):
        raise Invalid("The issuer is a URL that begins with https://, written as in the tokens' claim `iss`.")
    clean = text.isascii() and text.isprintable() and " " not in text and "\\" not in text
    if not url.hostname or "@" in url.netloc or "?" in text or "#" in text or not clean or len(text) > MAX_ISSUER:
        raise Invalid(
            f"The issuer is a URL of at most {MAX_ISSUER} characters without user, query and fragment, written as in "
            "the tokens' claim `iss`."
        )
    return text


def _name(text: str) -> str:
    if len(text) > MAX_NAME or _NAME.fullmatch(text) is None:
        raise Invalid(
            "The name of a rule is made of lower-case letters and digits joined by single '.', '_' or '-', "
            f"{MAX_NAME} characters at most."
        )
    return text


def _audience(text: str) -> str:
    if not 1 <= len(text) <= MAX_AUDIENCE or not text.isprintable():
        raise Invalid(f"The audience has 1 to {MAX_AUDIENCE} printable characters.")
    return text


def _conditions(issuer: str, written: object) -> tuple[Condition, ...]:
    try:
        return parse_conditions(issuer, written)
    except BadCondition as error:
        raise Invalid(str(error)) from None


def _as_json(conditions: tuple[Condition, ...]) -> list[dict[str, object]]:
    return [condition.as_json() for condition in conditions]


def _found(connection: Connection, row: int, *, hold: bool = False) -> TrustRule:
    rule = find_trust_rule(connection, row, hold=hold)
    if rule is None:
        raise ObjectUnknown(_UNKNOWN)
    return rule


def _entry(action: str, caller: Caller, name: str, project_id: int | None, detail: dict[str, object]) -> AuditEntry:
    return AuditEntry(action, OK, caller, "trust-rule", name, project_id=project_id, detail=detail)
