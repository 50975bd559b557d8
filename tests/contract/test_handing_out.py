"""What admins of projects may hand out, and what they are told of what is not theirs, on both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from moorage.accounts.explain import Explain
from moorage.accounts.grants import Grants
from moorage.accounts.policy import DatabasePolicy
from moorage.accounts.projects import ProjectChange, Projects
from moorage.accounts.robot_permissions import RobotPermission
from moorage.accounts.robots import RobotChange, Robots
from moorage.accounts.trust_rules import TrustRuleChange, TrustRules
from moorage.accounts.users import Users
from moorage.accounts.wanted_grants import GrantChange, WantedGrant
from moorage.core.access import Caller, Identity
from moorage.core.errors import Denied, Invalid, ObjectUnknown
from moorage.metadata.database import Database
from tests.support.accounts import ADMIN_CALLER, HeldClock, as_user, quick_passwords, unique

ALL = ("pull", "push", "overwrite", "delete", "admin")


class Place:
    """A project with an admin, alice, and somebody else, bob."""

    def __init__(self, database: Database) -> None:
        clock = HeldClock()
        policy = DatabasePolicy(database, clock)
        self.users = Users(database, clock, quick_passwords())
        self.projects, self.grants = Projects(database, clock), Grants(database, clock)
        self.robots, self.rules = Robots(database, clock, policy), TrustRules(database, clock, policy)
        self.explain = Explain(database, clock)
        self.team = unique("team")
        self.id = 0

    async def fill(self) -> None:
        self.id = (await self.projects.create(ADMIN_CALLER, self.team)).id
        self.alice, self.bob = await self.user("alice"), await self.user("bob")
        await self.grant(ADMIN_CALLER, self.alice.name, role="admin")

    async def user(self, word: str) -> Caller:
        made = await self.users.create(ADMIN_CALLER, unique(word))
        return as_user(made.id, made.name)

    async def grant(self, caller: Caller, whom: str, where: int = 0, kind: str = "user", **how: Any) -> int:
        made = await self.grants.create(caller, where or self.id, WantedGrant(kind, whom, **how))
        return made.grant.id

    async def robot(self, name: str, *permissions: RobotPermission, caller: Caller = ADMIN_CALLER) -> Caller:
        made = (await self.robots.create(caller, f"{self.team}+{name}", permissions=permissions)).robot
        return Caller(Identity(made.name, "robot", made.id, credential="secret:1"))

    async def rule(self, caller: Caller, robot: int, **how: Any) -> int:
        wanted = {"issuer": "https://ci.example", "audience": "a", "conditions": [{"claim": "x", "equals": "y"}]}
        return (await self.rules.create(caller, unique("rule"), robot_id=robot, **(wanted | how))).id


@pytest.fixture
async def place(database: Database) -> Place:
    made = Place(database)
    await made.fill()
    return made


async def refused(*attempts: Awaitable[object], match: str | None = None) -> None:
    for attempt in attempts:
        with pytest.raises(Denied, match=match):
            await attempt


async def test_what_one_is_denied_one_does_not_hand_out(place: Place) -> None:
    team, alice, bob = place.team, place.alice, place.bob
    secret = f"{team}/secret/**"
    taker = await place.robot("taker", RobotPermission(pattern=secret, role="reader"))
    rule = await place.rule(ADMIN_CALLER, taker.identity.id)
    before = await place.grant(alice, bob.name, role="writer")
    await place.grant(ADMIN_CALLER, alice.name, where=1, actions=ALL, effect="deny", pattern=secret)
    inner = await place.projects.create(ADMIN_CALLER, f"{team}/secret")
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: place.robot("evil", RobotPermission(role="admin"), caller=alice),
        lambda: place.robot("evil", RobotPermission(project=f"{team}/secret", role="reader"), caller=alice),
        lambda: place.grant(alice, bob.name, role="reader", pattern=secret),
        lambda: place.grant(alice, bob.name, role="reader", pattern=f"{team}/*/x"),
        lambda: place.grant(alice, bob.name, role="reader", pattern=f"{team}/secret/x"),
        lambda: place.grant(alice, bob.name, role="reader"),
        lambda: place.grant(alice, "", kind="anonymous", role="reader"),
        lambda: place.grants.change(alice, before, GrantChange(role="maintainer")),
        lambda: place.grants.change(alice, before, GrantChange(expires_at=None)),
        lambda: place.robots.rotate(alice, taker.identity.id),
        lambda: place.rule(alice, taker.identity.id),
        lambda: place.rules.change(alice, rule, TrustRuleChange(audience="b")),
        lambda: place.projects.change(alice, place.id, ProjectChange(visibility="public")),
        lambda: place.projects.create(alice, f"{team}/new", visibility="public"),
    ]
    for attempt in attempts[:-1]:
        await refused(attempt(), match="nobody hands out what they are denied")
    with pytest.raises((Denied, ObjectUnknown)):
        await place.grant(alice, bob.name, where=inner.id, role="reader")
    await attempts[-1]()  # nothing of it lies there
    with pytest.raises(ObjectUnknown):
        await place.robots.find(ADMIN_CALLER, f"{team}+evil")
    await place.grant(alice, bob.name, role="reader", pattern=f"{team}/app/**")
    await place.grant(alice, bob.name, actions=ALL, effect="deny")
    await place.grants.change(alice, before, GrantChange(role="reader", note="less"))
    await place.rules.change(alice, rule, TrustRuleChange(disabled=True))
    await place.grant(ADMIN_CALLER, bob.name, role="reader", pattern=secret)


async def test_a_deny_that_reaches_everybody_is_no_reason(place: Place) -> None:
    await place.grant(ADMIN_CALLER, "", kind="authenticated", actions=("delete",), effect="deny")
    await place.grant(place.alice, place.bob.name, role="maintainer")
    await place.grant(ADMIN_CALLER, "", kind="authenticated", actions=("pull",), effect="deny")
    await place.grant(place.alice, place.bob.name, role="reader")
    await refused(place.grant(place.alice, "", kind="anonymous", role="reader"))


async def test_robots_hand_out_nothing(place: Place) -> None:
    robot = await place.robot("ci", RobotPermission(role="admin"))
    row, before = robot.identity.id, await place.grant(ADMIN_CALLER, place.bob.name, role="reader")
    rule = await place.rule(ADMIN_CALLER, row)
    await refused(
        place.robot("more", caller=robot),
        place.robots.change(robot, row, RobotChange(expires_at=None)),
        place.robots.rotate(robot, row),
        place.robots.delete(robot, row),
        place.grant(robot, place.bob.name, role="admin"),
        place.grants.replace(robot, place.id, (before,), ()),
        place.grants.change(robot, before, GrantChange(role="admin")),
        place.grants.delete(robot, before),
        place.rule(robot, row),
        place.rules.change(robot, rule, TrustRuleChange(audience="b")),
        place.rules.delete(robot, rule),
        match="A robot makes and changes no robots",
    )
    await place.projects.create(robot, f"{place.team}/nested")
    assert (await place.robots.get(robot, row)).expires_at is None


@dataclass
class Told:
    """How somebody was refused."""

    kind: type[Exception]
    message: str


async def told(attempt: Awaitable[object]) -> Told:
    with pytest.raises((Invalid, ObjectUnknown)) as found:
        await attempt
    return Told(found.type, str(found.value))


async def test_robots_of_others_are_as_good_as_absent(place: Place, database: Database) -> None:
    other = Place(database)
    await other.fill()
    await other.robot("ci")
    system = unique("+backup")
    await place.robots.create(ADMIN_CALLER, system)
    names = (f"{other.team}+ci", f"{other.team}+nothing", f"{unique('nowhere')}+ci")
    first, *rest = [await told(place.grant(place.alice, name, kind="robot", role="reader")) for name in names]
    assert rest == [first, first]
    asked = [place.explain.explain(place.alice, "robot", name, f"{place.team}/app", "pull") for name in names]
    first, *rest = [await told(one) for one in asked]
    assert rest == [first, first]
    await place.grant(place.alice, system, kind="robot", role="reader")
    assert (await place.explain.explain(place.alice, "robot", system, f"{place.team}/app", "pull")).allowed
    inner = await place.projects.create(place.alice, f"{place.team}/in")
    nested = (await place.robots.create(place.alice, f"{inner.name}+ci")).robot.name
    assert not (await place.explain.explain(place.alice, "robot", nested, f"{place.team}/app", "pull")).allowed


async def test_what_is_explained_to_oneself_tells_no_project_that_is_hidden(place: Place) -> None:
    bob = place.bob
    absent = unique("absent")

    async def explained(name: str) -> object:
        return await place.explain.explain(bob, "user", bob.name, f"{name}/app", "pull")

    assert await explained(place.team) == await explained(absent)
    await place.grant(ADMIN_CALLER, "", kind="authenticated", actions=("pull",), effect="deny")
    assert await explained(place.team) == await explained(absent)
    denied = await place.grant(ADMIN_CALLER, bob.name, actions=("pull",), effect="deny")
    found = await place.explain.explain(bob, "user", bob.name, f"{place.team}/app", "pull")
    assert (found.project, [rule.grant for rule in found.rules]) == ("", [denied]), "that grant is one's own to see"
    await place.grant(ADMIN_CALLER, bob.name, role="writer", pattern=f"{place.team}/app")
    found = await place.explain.explain(bob, "user", bob.name, f"{place.team}/app", "pull")
    assert (found.project, len(found.rules)) == (place.team, 3)
    assert (await place.explain.explain(place.alice, "user", bob.name, f"{place.team}/x", "pull")).project == place.team
