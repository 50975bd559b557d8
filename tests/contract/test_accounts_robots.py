"""Robots on both databases: who manages them, how their secrets take turns, and that nothing is left of one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from moorage.accounts.rights import KEEP
from moorage.accounts.robot_permissions import RobotPermission
from moorage.accounts.robots import RobotChange, Robots
from moorage.auth.random_secrets import hash_secret, kind_of
from moorage.core.access import SYSTEM, Caller, Identity, Scope
from moorage.core.errors import Conflict, Denied, Invalid, NameInvalid, ObjectUnknown, PreconditionFailed
from moorage.metadata.database import Database
from moorage.metadata.logins import ROBOT_SECRET
from moorage.metadata.robots import Robot
from moorage.metadata.tables_access import grants, robot_secrets, robots
from tests.support.accounts import (
    HeldClock,
    TablePolicy,
    actions_on,
    add_project,
    as_user,
    unique,
    whole_audit,
)

MANAGER = as_user(41, "manager")
OTHER = as_user(42, "other")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
async def project(database: Database) -> str:
    name = unique("team")
    await add_project(database, name)
    return name


@pytest.fixture
def policy(project: str) -> TablePolicy:
    return TablePolicy({"manager": {project}})


@pytest.fixture
def accounts(database: Database, clock: HeldClock, policy: TablePolicy) -> Robots:
    return Robots(database, clock, policy)


async def alive(database: Database, clock: HeldClock, secret: str) -> bool:
    """Whether a login with that secret would find a robot now."""
    row: Any = await database.lookup(ROBOT_SECRET, hash_secret(secret))
    return row is not None and not row[2] and (row[6] is None or row[6] > clock.now())


async def grants_of(database: Database, robot: Robot) -> list[tuple[Any, ...]]:
    columns = (grants.c.pattern, grants.c.role, grants.c.actions, grants.c.effect)
    statement = select(*columns).where(grants.c.principal_kind == "robot", grants.c.principal_id == robot.id)
    return await database.read(lambda connection: [tuple(row) for row in connection.execute(statement)])


async def epoch_of(database: Database, robot: Robot) -> int:
    statement = select(robots.c.epoch).where(robots.c.id == robot.id)
    return await database.read(lambda connection: int(connection.execute(statement).scalar_one()))


async def test_a_new_robot(accounts: Robots, database: Database, clock: HeldClock, project: str) -> None:
    permissions = (RobotPermission(role="writer"), RobotPermission(pattern=f"{project}/*", actions=("pull", "delete")))
    made = await accounts.create(MANAGER, f"{project}+ci", description="builds", permissions=permissions)
    robot = made.robot
    assert (robot.name, robot.project, robot.description) == (f"{project}+ci", project, "builds")
    assert (robot.created_by, robot.disabled, robot.last_used_at, len(robot.secrets)) == ("manager", False, None, 1)
    assert kind_of(made.secret) == "rob"
    assert made.secret not in repr(made)
    assert await alive(database, clock, made.secret)
    assert sorted(await grants_of(database, robot)) == [
        ("", "writer", "", "allow"),
        (f"{project}/*", "", "pull,delete", "allow"),
    ]
    assert await accounts.find(MANAGER, robot.name) == robot
    assert await actions_on(database, "robot", robot.name) == ["robot.create"]
    assert made.secret not in await whole_audit(database)


async def test_a_robot_of_the_system(accounts: Robots) -> None:
    name = f"+{unique('backup')}"
    made = await accounts.create(SYSTEM, name)
    assert (made.robot.project, made.robot.project_id) == (None, None)
    assert made.robot in await accounts.list(SYSTEM, project="", prefix=name)
    for attempt in (accounts.create(MANAGER, f"{name}2"), accounts.list(MANAGER, project="")):
        with pytest.raises(Denied):
            await attempt
    with pytest.raises(ObjectUnknown):
        await accounts.get(MANAGER, made.robot.id)


@pytest.mark.parametrize("name", ["ci", "+", "a+b+c", "team+", "team+CI", "Team+ci", "/+ci", "a+b c", f"a+{'b' * 65}"])
async def test_names_that_cannot_be(accounts: Robots, name: str) -> None:
    with pytest.raises((Invalid, NameInvalid)):
        await accounts.create(SYSTEM, name)


@pytest.mark.parametrize(
    "permission",
    [
        RobotPermission(project="elsewhere", role="reader"),
        RobotPermission(project="", role="reader"),
        RobotPermission(role="owner"),
        RobotPermission(),
        RobotPermission(role="reader", actions=("pull",)),
        RobotPermission(actions=("fly",)),
        RobotPermission(pattern="Team/*", role="reader"),
        RobotPermission(pattern="a**b", role="reader"),
    ],
)
async def test_permissions_that_cannot_be(accounts: Robots, project: str, permission: RobotPermission) -> None:
    with pytest.raises(Invalid):
        await accounts.create(MANAGER, f"{project}+ci", permissions=(permission,))
    with pytest.raises(ObjectUnknown):
        await accounts.find(MANAGER, f"{project}+ci")


async def test_nothing_outside_of_the_project(accounts: Robots, database: Database, project: str) -> None:
    await add_project(database, f"{project}x")
    await add_project(database, f"{project}/below")
    with pytest.raises(Invalid):
        await accounts.create(
            MANAGER, f"{project}+ci", permissions=(RobotPermission(project=f"{project}x", role="reader"),)
        )
    with pytest.raises(Invalid, match="no project"):
        await accounts.create(
            MANAGER, f"{project}+ci", permissions=(RobotPermission(project=f"{project}/no", role="reader"),)
        )
    inside = (RobotPermission(project=f"{project}/below", role="reader"),)
    made = await accounts.create(MANAGER, f"{project}+ci", permissions=inside)
    assert len(await grants_of(database, made.robot)) == 1


async def test_others_are_not_seen(accounts: Robots, project: str) -> None:
    robot = (await accounts.create(MANAGER, f"{project}+ci")).robot
    itself = Caller(Identity(robot.name, "robot", robot.id))
    assert await accounts.get(itself, robot.id) == robot
    messages = set()
    for attempt in (
        accounts.get(OTHER, robot.id),
        accounts.get(OTHER, 987_654_321),
        accounts.find(OTHER, robot.name),
        accounts.change(OTHER, robot.id, RobotChange(disabled=True)),
        accounts.rotate(OTHER, robot.id),
        accounts.delete(OTHER, robot.id),
        accounts.delete(OTHER, 987_654_321),
    ):
        with pytest.raises(ObjectUnknown) as refused:
            await attempt
        messages.add(refused.value.message)
    assert len(messages) == 1
    for hidden in (accounts.list(OTHER, project=project), accounts.create(OTHER, f"{project}+x")):
        with pytest.raises(ObjectUnknown):
            await hidden
    with pytest.raises(Denied):
        await accounts.list(MANAGER)
    for own in (accounts.rotate(itself, robot.id), accounts.change(itself, robot.id, RobotChange(expires_at=None))):
        with pytest.raises(Denied):
            await own


async def test_a_token_of_limited_scopes_makes_no_secrets(accounts: Robots, project: str) -> None:
    robot = (await accounts.create(MANAGER, f"{project}+ci")).robot
    scopes = (Scope("repository", project, frozenset({"*"})),)
    limited = Caller(Identity("manager", "user", 41, credential="pat:7", scopes=scopes))
    for attempt in (accounts.create(limited, f"{project}+more"), accounts.rotate(limited, robot.id)):
        with pytest.raises(Denied):
            await attempt


async def test_rotation_with_an_overlap(accounts: Robots, database: Database, clock: HeldClock, project: str) -> None:
    first = await accounts.create(MANAGER, f"{project}+ci")
    second = await accounts.rotate(MANAGER, first.robot.id, overlap=60.0)
    assert [secret.expires_at for secret in second.robot.secrets] == [clock.at + 60, None]
    assert await alive(database, clock, first.secret)
    assert await alive(database, clock, second.secret)
    clock.at += 61
    assert not await alive(database, clock, first.secret)
    assert await alive(database, clock, second.secret)
    assert second.robot.version == first.robot.version + 1


async def test_at_most_two_secrets_live(accounts: Robots, database: Database, clock: HeldClock, project: str) -> None:
    first = await accounts.create(MANAGER, f"{project}+ci")
    row = first.robot.id
    second = await accounts.rotate(MANAGER, row, overlap=60.0)
    third = await accounts.rotate(MANAGER, row, overlap=60.0)
    assert [await alive(database, clock, made.secret) for made in (first, second, third)] == [False, True, True]


async def test_without_an_overlap_the_old_one_ends_at_once(
    accounts: Robots, database: Database, clock: HeldClock, project: str
) -> None:
    first = await accounts.create(MANAGER, f"{project}+ci")
    before = await epoch_of(database, first.robot)
    second = await accounts.rotate(MANAGER, first.robot.id)
    assert [await alive(database, clock, made.secret) for made in (first, second)] == [False, True]
    assert len(second.robot.secrets) == 1
    assert await epoch_of(database, first.robot) == before + 1
    for overlap in (-1.0, 1e9, float("nan")):
        with pytest.raises(Invalid):
            await accounts.rotate(MANAGER, first.robot.id, overlap=overlap)


async def test_two_rotations_at_once_leave_two_secrets(
    accounts: Robots, database: Database, elsewhere: Database, clock: HeldClock, policy: TablePolicy, project: str
) -> None:
    made = await accounts.create(MANAGER, f"{project}+ci")
    others = Robots(elsewhere, clock, policy)
    row = made.robot.id
    await asyncio.gather(*(each.rotate(MANAGER, row, overlap=60.0) for each in (accounts, others) * 3))
    assert len((await accounts.get(MANAGER, row)).secrets) == 2


async def test_changes(accounts: Robots, database: Database, clock: HeldClock, project: str) -> None:
    made = await accounts.create(MANAGER, f"{project}+ci", expires_at=clock.at + 100)
    row, before = made.robot.id, await epoch_of(database, made.robot)
    assert await accounts.change(MANAGER, row, RobotChange()) == made.robot
    described = await accounts.change(MANAGER, row, RobotChange(description="other", expires_at=KEEP))
    assert (described.description, described.expires_at) == ("other", clock.at + 100)
    assert await epoch_of(database, made.robot) == before
    disabled = await accounts.change(MANAGER, row, RobotChange(disabled=True, expires_at=None))
    assert (disabled.disabled, disabled.expires_at) == (True, None)
    assert not await alive(database, clock, made.secret)
    assert await epoch_of(database, made.robot) == before + 1
    with pytest.raises(Invalid):
        await accounts.change(MANAGER, row, RobotChange(expires_at=clock.at))
    for attempt in (
        accounts.change(MANAGER, row, RobotChange(disabled=False), made.robot.version),
        accounts.rotate(MANAGER, row, version=made.robot.version),
        accounts.delete(MANAGER, row, made.robot.version),
    ):
        with pytest.raises(PreconditionFailed):
            await attempt


async def test_a_deleted_robot_leaves_nothing(
    accounts: Robots, database: Database, clock: HeldClock, project: str
) -> None:
    made = await accounts.create(MANAGER, f"{project}+ci", permissions=(RobotPermission(role="writer"),))
    await accounts.delete(MANAGER, made.robot.id, made.robot.version)
    assert not await alive(database, clock, made.secret)
    assert await grants_of(database, made.robot) == []
    again = await accounts.create(MANAGER, made.robot.name)
    assert again.robot.id != made.robot.id
    assert await actions_on(database, "robot", made.robot.name) == ["robot.create", "robot.delete", "robot.create"]


async def test_a_name_is_taken_once(accounts: Robots, project: str) -> None:
    await accounts.create(MANAGER, f"{project}+ci")
    with pytest.raises(Conflict):
        await accounts.create(MANAGER, f"{project}+ci")


async def test_lists(accounts: Robots, database: Database, project: str) -> None:
    await add_project(database, f"{project}/below")
    for name in ("c", "a", "b"):
        await accounts.create(SYSTEM, f"{project}+{name}")
    await accounts.create(SYSTEM, f"{project}/below+a")
    first = await accounts.list(MANAGER, project=project, limit=2)
    rest = await accounts.list(MANAGER, project=project, after=first[-1].name, limit=2)
    assert [robot.name[-2:] for robot in first + rest] == ["+a", "+b", "+c"]
    assert len(await accounts.list(SYSTEM, prefix=project)) == 4
    assert [robot.name for robot in await accounts.list(SYSTEM, project=project, prefix=f"{project}+b")] == [
        f"{project}+b"
    ]


async def test_a_secret_that_ended_is_not_prolonged(
    accounts: Robots, database: Database, clock: HeldClock, project: str
) -> None:
    first = await accounts.create(MANAGER, f"{project}+ci")
    row = first.robot.id

    def end(connection: Connection) -> None:
        connection.execute(update(robot_secrets).where(robot_secrets.c.robot_id == row).values(expires_at=clock.at - 1))

    await database.write(end)
    second = await accounts.rotate(MANAGER, row, overlap=60.0)
    assert [await alive(database, clock, made.secret) for made in (first, second)] == [False, True]
    assert len(second.robot.secrets) == 1
