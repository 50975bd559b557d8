"""Queries about trust rules: whose OIDC tokens are as good as a robot's secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, literal, select, tuple_, update

from moorage.metadata.pages import Page, in_page, insert_new
from moorage.metadata.tables_access import robots, trust_rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import BindParameter, Connection, Row, Select

_DIGITS = 18
"""Of an id: any number of so many fits into 64 bits."""

MOST_OF_AN_ISSUER = 1000
"""Rules of one issuer that are looked at."""

_COLUMNS = (
    trust_rules.c.id,
    trust_rules.c.name,
    trust_rules.c.robot_id,
    robots.c.name,
    robots.c.project_id,
    trust_rules.c.issuer,
    trust_rules.c.audience,
    trust_rules.c.conditions,
    trust_rules.c.disabled,
    trust_rules.c.created_at,
    trust_rules.c.created_by,
    trust_rules.c.last_used_at,
    trust_rules.c.version,
)
_JOINED = trust_rules.join(robots, robots.c.id == trust_rules.c.robot_id)


@dataclass(frozen=True, slots=True)
class TrustRule:
    """A rule.

    Attributes:
        robot_id, robot: who a token that fulfils it stands for; `robot` is the full name.
        project_id: of the robot; None for one of the system.
        issuer, audience: `iss` and `aud` of the token.
        conditions: as JSON; see `moorage.auth.trust`.
        created_at, last_used_at: seconds since 1970.
        version: counts up with every change.
    """

    id: int
    name: str
    robot_id: int
    robot: str
    project_id: int | None
    issuer: str
    audience: str
    conditions: tuple[dict[str, Any], ...]
    disabled: bool
    created_at: float
    created_by: str
    last_used_at: float | None
    version: int

    @property
    def mark(self) -> str:
        """Where it stands in lists by name: several robots may have a rule of one name."""
        return f"{self.name} {self.id}"


@dataclass(frozen=True, slots=True)
class NewTrustRule:
    """A rule to be made; see `TrustRule`."""

    name: str
    robot_id: int
    issuer: str
    audience: str
    conditions: Sequence[Mapping[str, object]]
    disabled: bool
    created_by: str


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A rule that tokens are compared with, and the robot that it is for.

    expires_at: the robot's, seconds since 1970; None for never.
    """

    id: int
    name: str
    audience: str
    conditions: tuple[dict[str, Any], ...]
    robot_id: int
    robot: str
    expires_at: float | None


def find_trust_rule(connection: Connection, row: int, *, hold: bool = False) -> TrustRule | None:
    """A rule by id; with `hold` nobody else changes it until the transaction ends."""
    if hold:
        connection.execute(select(trust_rules.c.id).where(trust_rules.c.id == row).with_for_update())
    return _one(connection, _select().where(trust_rules.c.id == row))


def has_trust_rule(connection: Connection, robot_id: int, name: str) -> bool:
    """Whether a robot has a rule of that name."""
    mine = select(trust_rules.c.id).where(trust_rules.c.robot_id == robot_id, trust_rules.c.name == name)
    return connection.execute(mine).first() is not None


def list_trust_rules(
    connection: Connection, page: Page, *, robot_id: int | None = None, name: str = ""
) -> list[TrustRule]:
    """Rules in the order of their names, those of one name in that of their ids.

    Args:
        connection: reads.
        page: which; `after` is the `mark` of the last one of the page before.
        robot_id: only those of this robot.
        name: only those of this name.
    """
    statement = in_page(_select(), trust_rules.c.name, Page("", page.limit, page.prefix)).order_by(trust_rules.c.id)
    if page.after:
        statement = statement.where(tuple_(trust_rules.c.name, trust_rules.c.id) > tuple_(*_place(page.after)))
    if robot_id is not None:
        statement = statement.where(trust_rules.c.robot_id == robot_id)
    if name:
        statement = statement.where(trust_rules.c.name == name)
    return [_rule(row) for row in connection.execute(statement)]


def live_rules_of(connection: Connection, issuer: str, robot: str = "") -> list[LiveRule]:
    """The rules of an issuer that are switched on and whose robot is, in the order in which they were made.

    Args:
        connection: reads.
        issuer: `iss` of a token.
        robot: only those of this one, whose rules are then found however many others have; empty: of all.
    """
    statement = (
        select(
            trust_rules.c.id,
            trust_rules.c.name,
            trust_rules.c.audience,
            trust_rules.c.conditions,
            robots.c.id,
            robots.c.name,
            robots.c.expires_at,
        )
        .select_from(_JOINED)
        .where(trust_rules.c.issuer == issuer, trust_rules.c.disabled.is_(False), robots.c.disabled.is_(False))
        .order_by(trust_rules.c.id)
        .limit(MOST_OF_AN_ISSUER)
    )
    if robot:
        statement = statement.where(robots.c.name == robot)
    return [
        LiveRule(rule, name, audience, tuple(orjson.loads(conditions)), robot_id, robot_name, expires_at)
        for rule, name, audience, conditions, robot_id, robot_name, expires_at in connection.execute(statement)
    ]


def add_trust_rule(connection: Connection, new: NewTrustRule, now: float) -> int | None:
    """Make a rule and return its id; None where its robot has one of that name."""
    values = {
        "name": new.name,
        "robot_id": new.robot_id,
        "issuer": new.issuer,
        "audience": new.audience,
        "conditions": conditions_text(new.conditions),
        "disabled": new.disabled,
        "created_at": now,
        "created_by": new.created_by,
        "version": 1,
    }
    return insert_new(connection, trust_rules, values, trust_rules.c.id)


def change_trust_rule(connection: Connection, row: int, values: Mapping[str, object]) -> None:
    """Set columns of a rule."""
    changed = {**values, "version": trust_rules.c.version + 1}
    connection.execute(update(trust_rules).where(trust_rules.c.id == row).values(changed))


def remove_trust_rule(connection: Connection, row: int) -> None:
    """Remove a rule."""
    connection.execute(delete(trust_rules).where(trust_rules.c.id == row))


def conditions_text(conditions: Sequence[Mapping[str, object]]) -> str:
    """Conditions as the column keeps them."""
    return orjson.dumps(list(conditions)).decode()


def _place(mark: str) -> tuple[BindParameter[str], BindParameter[int]]:
    """The name and id that a page begins behind. Without an id it begins behind all of that name."""
    name, _, row = mark.partition(" ")
    known = row.isascii() and row.isdigit() and len(row) < _DIGITS
    return literal(name), literal(int(row) if known else 10**_DIGITS)


def _select() -> Select[Any]:
    return select(*_COLUMNS).select_from(_JOINED)


def _one(connection: Connection, statement: Select[Any]) -> TrustRule | None:
    row = connection.execute(statement).first()
    return _rule(row) if row is not None else None


def _rule(row: Row[Any]) -> TrustRule:
    values = list(row)
    values[7] = tuple(orjson.loads(values[7]))
    return TrustRule(*values)
