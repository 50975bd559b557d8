"""Changes of accounts that meet in the database, on both: what one of them saw still holds when it writes.

Two processes of one registry, each with a `Database` object of its own over the same facts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from functools import partial

import pytest
from sqlalchemy import Connection, select

from moorage.accounts.arrivals import arrive
from moorage.accounts.grants import Grants
from moorage.accounts.groups import Groups
from moorage.accounts.projects import Projects
from moorage.accounts.robots import Robots
from moorage.accounts.trust_rules import TrustRuleChange, TrustRules
from moorage.accounts.users import UserChange, Users
from moorage.accounts.wanted_grants import GrantChange, WantedGrant
from moorage.auth.ports import Arrival
from moorage.core.access import SYSTEM
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown, PreconditionFailed, RegistryError
from moorage.metadata.arrivals import memberships, replace_memberships
from moorage.metadata.database import Database
from moorage.metadata.tables_access import grants
from moorage.metadata.users import password_of
from tests.support.accounts import (
    ADMIN_CALLER,
    HeldClock,
    TablePolicy,
    actions_on,
    add_project,
    as_user,
    quick_passwords,
    unique,
)

ROUNDS = 5
"""How often what must not happen is tried; the first time, connections are still to be made, one after the other."""

CLOCK = HeldClock()
OLD = "correct horse battery"
ISSUER = "https://issuer.example.com"
CONDITIONS = [{"claim": "sub", "equals": "me"}]
PULL_TO_ALL = WantedGrant("authenticated", role="reader")


@pytest.fixture
def databases(database: Database, elsewhere: Database) -> tuple[Database, Database]:
    """Those of the two processes."""
    return database, elsewhere


async def outcomes(*tries: Awaitable[object]) -> Counter[str]:
    """How many of what is tried at once end in which way; what is no answer for a client is raised here."""
    counted: Counter[str] = Counter()
    for result in await asyncio.gather(*tries, return_exceptions=True):
        if isinstance(result, RegistryError) and result.status < 500:
            counted[type(result).__name__] += 1
        elif isinstance(result, BaseException):
            raise result
        else:
            counted["done"] += 1
    return counted


async def test_an_old_password_is_good_for_one_new_one(databases: tuple[Database, ...]) -> None:
    """Whoever comes second would set the password of somebody whose password is another one by now."""
    users = [Users(each, CLOCK, quick_passwords()) for each in databases]
    user = await users[0].create(ADMIN_CALLER, unique("alice"), password=OLD)
    me, old = as_user(user.id, user.name), OLD
    for turn in range(ROUNDS):
        words = [f"{turn} staple {number} horse" for number in range(6)]
        changes = [UserChange(password=word, old_password=old) for word in words]
        tries = [users[number % 2].change(me, user.id, wanted) for number, wanted in enumerate(changes)]
        ended = await outcomes(*tries)
        assert ended["done"] == 1
        # Who looked late enough saw that the old one is none any more.
        assert ended.keys() <= {"done", PreconditionFailed.__name__, Denied.__name__}
        found = [word for word in words if await proves(users[0], user.id, word)]
        assert len(found) == 1
        old = found[0]


async def proves(users: Users, row: int, password: str) -> bool:
    """Whether that is a user's password."""
    stored = await users._database.read(lambda connection: password_of(connection, row))
    return await quick_passwords().fits("", password.encode(), stored)


async def test_a_grant_is_changed_as_it_was_seen(databases: tuple[Database, ...]) -> None:
    """`If-Match` of several at once: no change is lost."""
    granting = [Grants(each, CLOCK) for each in databases]
    project = await add_project(databases[0], unique("team"))
    shown = await granting[0].create(ADMIN_CALLER, project, PULL_TO_ALL)
    for turn in range(1, ROUNDS + 1):
        tries = [
            granting[number % 2].change(ADMIN_CALLER, shown.grant.id, GrantChange(note=f"{turn} {number}"), turn)
            for number in range(6)
        ]
        assert await outcomes(*tries) == {"done": 1, PreconditionFailed.__name__: 5}


async def test_a_grant_is_removed_once(databases: tuple[Database, ...]) -> None:
    """By a request for that, or in the exchange for others: the audit log tells it once."""
    granting = [Grants(each, CLOCK) for each in databases]
    for _ in range(ROUNDS):
        name = unique("team")
        project = await add_project(databases[0], name)
        row = (await granting[0].create(ADMIN_CALLER, project, PULL_TO_ALL)).grant.id
        removals = [granting[number % 2].delete(ADMIN_CALLER, row) for number in range(4)]
        exchanges = [granting[number % 2].replace(ADMIN_CALLER, project, [row], []) for number in range(4)]
        ended = await outcomes(*removals, *exchanges)
        assert ended.keys() <= {"done", ObjectUnknown.__name__}
        assert (await actions_on(databases[0], "grant", name)).count("grant.delete") == 1


@pytest.mark.parametrize("kind", ["user", "group", "robot"])
async def test_nobody_who_goes_leaves_grants_behind(databases: tuple[Database, ...], kind: str) -> None:
    """Grants do not hang on those whom they are for by a foreign key, as these are in three tables."""
    one, other = databases
    granting = Grants(one, CLOCK)
    for _ in range(ROUNDS):
        team = unique("team")
        project = await add_project(one, team)
        row, name = await principal(one, kind)
        wanted = [WantedGrant(kind, name, pattern=f"{team}/{number}", role="reader") for number in range(7)]
        await granting.create(ADMIN_CALLER, project, wanted[0])
        results = await outcomes(
            *(granting.create(ADMIN_CALLER, project, each) for each in wanted[1:4]),
            remove(other, kind, row),
            *(granting.create(ADMIN_CALLER, project, each) for each in wanted[4:]),
        )
        assert results.keys() <= {"done", Invalid.__name__}
        assert await one.read(partial(grants_of, kind=kind, row=row)) == []


def grants_of(connection: Connection, kind: str, row: int) -> list[int]:
    """The ids of a principal's grants."""
    theirs = select(grants.c.id).where(grants.c.principal_kind == kind, grants.c.principal_id == row)
    return list(connection.scalars(theirs))


async def test_a_project_takes_the_grants_of_its_robots_with_it(databases: tuple[Database, ...]) -> None:
    """Those in the projects nested in it, too, which stay."""
    one, other = databases
    granting, robots = Grants(one, CLOCK), Robots(one, CLOCK, TablePolicy())
    for _ in range(ROUNDS):
        home = unique("team")
        project, nested = await add_project(one, home), await add_project(one, f"{home}/nested")
        robot = (await robots.create(ADMIN_CALLER, f"{home}+ci")).robot
        wanted = [
            WantedGrant("robot", robot.name, pattern=f"{home}/nested/{number}", role="reader") for number in range(7)
        ]
        await granting.create(ADMIN_CALLER, nested, wanted[0])
        results = await outcomes(
            *(granting.create(ADMIN_CALLER, nested, each) for each in wanted[1:4]),
            Projects(other, CLOCK).delete(ADMIN_CALLER, project),
            *(granting.create(ADMIN_CALLER, nested, each) for each in wanted[4:]),
        )
        assert results.keys() <= {"done", Invalid.__name__}
        assert await one.read(partial(grants_of, kind="robot", row=robot.id)) == []


async def principal(database: Database, kind: str) -> tuple[int, str]:
    """Somebody whom grants may be for: id and name."""
    if kind == "robot":
        made = await Robots(database, CLOCK, TablePolicy()).create(ADMIN_CALLER, f"+{unique('ci')}")
        return made.robot.id, made.robot.name
    if kind == "group":
        group = await Groups(database, CLOCK).create(ADMIN_CALLER, unique("all"))
        return group.id, group.name
    user = await Users(database, CLOCK, quick_passwords()).create(ADMIN_CALLER, unique("bob"))
    return user.id, user.name


async def remove(database: Database, kind: str, row: int) -> None:
    rooms = {
        "user": Users(database, CLOCK, quick_passwords()),
        "group": Groups(database, CLOCK),
        "robot": Robots(database, CLOCK, TablePolicy()),
    }
    await rooms[kind].delete(ADMIN_CALLER, row)  # type: ignore[attr-defined]


async def test_one_of_a_robots_rules_gets_a_name(databases: tuple[Database, ...]) -> None:
    rules = [TrustRules(each, CLOCK, TablePolicy()) for each in databases]
    robot, _ = await principal(databases[0], "robot")
    made = [
        await rules[0].create(
            ADMIN_CALLER, f"rule{number}", robot_id=robot, issuer=ISSUER, audience="a", conditions=CONDITIONS
        )
        for number in range(6)
    ]
    for turn in range(ROUNDS):
        wanted = TrustRuleChange(name=f"new{turn}")
        tries = [rules[number % 2].change(ADMIN_CALLER, rule.id, wanted) for number, rule in enumerate(made)]
        assert await outcomes(*tries) == {"done": 1, Conflict.__name__: 5}


async def test_people_who_come_at_once_share_their_new_groups(databases: tuple[Database, ...]) -> None:
    """Each brings groups that nobody knew, and that some of the others bring, too."""
    source = f"ldap:{unique('x')}"
    for turn in range(ROUNDS):
        names = [unique(f"g{turn}") for _ in range(8)]
        people = [
            Arrival(source, f"{turn}-{number}", unique("carol"), groups=tuple(names[number:] + names[: number // 2]))
            for number in range(8)
        ]
        tries = [arrive(databases[number % 2], CLOCK, person, SYSTEM) for number, person in enumerate(people)]
        arrived = await asyncio.gather(*tries)
        for person, found in zip(people, arrived, strict=True):
            there = await databases[0].read(partial(memberships, user_id=found.id, source=source))
            assert there == set(person.groups or ())
        for group in names:
            assert await actions_on(databases[0], "group", group) == ["group.create"]


async def test_a_directory_puts_nobody_into_a_group_that_is_made_here_meanwhile(database: Database) -> None:
    """Its name was free when the person came, and is an administrator's by now: that one says who is in it."""
    row, _ = await principal(database, "user")
    group, name = await principal(database, "group")
    made = await database.write(lambda connection: replace_memberships(connection, row, {name}, "ldap:x", 1.0))
    assert made == []
    assert await Groups(database, CLOCK).members(ADMIN_CALLER, group) == []
