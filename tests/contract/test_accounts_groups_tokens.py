"""Groups and personal access tokens on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from moorage.accounts.access_tokens import DEFAULT_SECONDS, LONGEST_SECONDS, MOST_TOKENS, AccessTokens
from moorage.accounts.groups import Groups
from moorage.accounts.users import UserChange, Users
from moorage.auth.random_secrets import hash_secret, kind_of
from moorage.core.access import ANONYMOUS, SYSTEM, Caller, Identity, Scope
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown, PreconditionFailed
from moorage.metadata.database import Database
from moorage.metadata.groups import Group
from moorage.metadata.logins import ACCESS_TOKEN
from moorage.metadata.tables_access import grants, groups, refresh_tokens
from moorage.metadata.users import User
from tests.support.accounts import (
    ADMIN_CALLER,
    HeldClock,
    actions_on,
    as_user,
    quick_passwords,
    unique,
    whole_audit,
)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def people(database: Database, clock: HeldClock) -> Users:
    return Users(database, clock, quick_passwords())


@pytest.fixture
async def alice(people: Users) -> User:
    return await people.create(SYSTEM, unique("alice"))


@pytest.fixture
def owner(alice: User) -> Caller:
    return as_user(alice.id, alice.name)


@pytest.fixture
def teams(database: Database, clock: HeldClock) -> Groups:
    return Groups(database, clock)


@pytest.fixture
async def team(teams: Groups) -> Group:
    return await teams.create(ADMIN_CALLER, unique("Team Blue"), "those in blue")


@pytest.fixture
def tokens(database: Database, clock: HeldClock) -> AccessTokens:
    return AccessTokens(database, clock)


async def test_a_group_and_its_members(teams: Groups, team: Group, alice: User, database: Database) -> None:
    assert (team.source, team.description, team.version) == ("local", "those in blue", 1)
    assert await teams.find(ADMIN_CALLER, team.name) == team
    await teams.add_member(ADMIN_CALLER, team.id, alice.id)
    await teams.add_member(ADMIN_CALLER, team.id, alice.id)
    members = await teams.members(ADMIN_CALLER, team.id)
    assert [(member.id, member.name, member.source) for member in members] == [(alice.id, alice.name, "local")]
    assert await teams.members(ADMIN_CALLER, team.id, after=alice.id) == []
    await teams.remove_member(ADMIN_CALLER, team.id, alice.id)
    with pytest.raises(ObjectUnknown):
        await teams.remove_member(ADMIN_CALLER, team.id, alice.id)
    with pytest.raises(Invalid):
        await teams.add_member(ADMIN_CALLER, team.id, 987_654_321)
    done = await actions_on(database, "group", team.name)
    assert done == ["group.create", "group.member.add", "group.member.remove"]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 129, "nul\0"])
async def test_group_names_that_cannot_be(teams: Groups, name: str) -> None:
    with pytest.raises(Invalid):
        await teams.create(ADMIN_CALLER, name)


async def test_a_group_is_described_and_removed(teams: Groups, team: Group, alice: User, database: Database) -> None:
    changed = await teams.change(ADMIN_CALLER, team.id, "others", team.version)
    assert (changed.description, changed.version) == ("others", 2)
    for attempt in (
        teams.change(ADMIN_CALLER, team.id, "again", team.version),
        teams.delete(ADMIN_CALLER, team.id, team.version),
    ):
        with pytest.raises(PreconditionFailed):
            await attempt
    await teams.add_member(ADMIN_CALLER, team.id, alice.id)
    row = {"project_id": 1, "pattern": "", "principal_kind": "group", "principal_id": team.id, "effect": "allow"}
    more = {"role": "reader", "actions": "", "created_at": 1.0, "version": 1}
    await database.write(lambda connection: connection.execute(insert(grants).values(**row, **more)))
    await teams.delete(ADMIN_CALLER, team.id)
    left = select(grants.c.id).where(grants.c.principal_kind == "group", grants.c.principal_id == team.id)
    assert await database.read(lambda connection: connection.execute(left).all()) == []
    with pytest.raises(ObjectUnknown):
        await teams.get(ADMIN_CALLER, team.id)


async def test_a_group_name_is_taken_once(teams: Groups, team: Group) -> None:
    with pytest.raises(Conflict):
        await teams.create(ADMIN_CALLER, team.name)


async def test_a_directorys_group_is_not_edited(teams: Groups, team: Group, alice: User, database: Database) -> None:
    def change(connection: Connection) -> None:
        connection.execute(update(groups).where(groups.c.id == team.id).values(source="ldap:main"))

    await database.write(change)
    for attempt in (
        teams.change(ADMIN_CALLER, team.id, "x"),
        teams.add_member(ADMIN_CALLER, team.id, alice.id),
        teams.remove_member(ADMIN_CALLER, team.id, alice.id),
    ):
        with pytest.raises(Conflict, match="ldap:main"):
            await attempt


async def test_groups_are_for_admins(teams: Groups, team: Group, owner: Caller, alice: User) -> None:
    assert await teams.list(owner) == []
    with pytest.raises(Denied):
        await teams.create(owner, unique("mine"))
    for attempt in (
        teams.get(owner, team.id),
        teams.find(owner, team.name),
        teams.members(owner, team.id),
        teams.change(owner, team.id, "x"),
        teams.add_member(owner, team.id, alice.id),
        teams.remove_member(owner, team.id, alice.id),
        teams.delete(owner, team.id),
    ):
        with pytest.raises(ObjectUnknown):
            await attempt


async def test_groups_in_pages(teams: Groups) -> None:
    prefix = unique("page")
    for word in ("é", "b", "Z"):
        await teams.create(ADMIN_CALLER, f"{prefix} {word}")
    first = await teams.list(ADMIN_CALLER, prefix=prefix, limit=2)
    rest = await teams.list(ADMIN_CALLER, prefix=prefix, after=first[-1].name, limit=2)
    assert [group.name[-1] for group in first + rest] == ["Z", "b", "é"]


async def test_a_new_token(tokens: AccessTokens, owner: Caller, clock: HeldClock, database: Database) -> None:
    scopes = ["repository:team/**:push,pull", "registry:catalog:*", "repository:team/**:pull,push"]
    made = await tokens.create(owner, "  laptop ", scopes=scopes)
    token = made.token
    assert (token.name, token.user, token.last_used_at) == ("laptop", owner.name, None)
    assert token.scopes == ("repository:team/**:pull,push", "registry:catalog:*")
    assert token.expires_at == clock.at + DEFAULT_SECONDS
    assert kind_of(made.secret) == "pat"
    assert made.secret not in repr(made)
    row: Any = await database.lookup(ACCESS_TOKEN, hash_secret(made.secret))
    assert (row[0], row[5]) == (owner.identity.id, token.id)
    assert await tokens.get(owner, token.id) == token
    assert await actions_on(database, "token", f"{owner.name}/laptop") == ["token.create"]
    assert made.secret not in await whole_audit(database)


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "pull",
        "repository:team",
        "repository::pull",
        "repository:team:",
        "repository:team:pull,",
        "repository:team:fly",
        "repository:Team:pull",
        "repository:te**am:pull",
        "repository:team//x:pull",
        "repository(plugin):team:pull",
        "registry:catalog:pull",
        "registry:other:*",
        "user:alice:pull",
        "repository:team:pull repository:other:pull",
        f"repository:{'a/' * 300}b:pull",
    ],
)
async def test_scopes_that_cannot_be(tokens: AccessTokens, owner: Caller, scope: str) -> None:
    with pytest.raises(Invalid):
        await tokens.create(owner, "bad", scopes=[scope])


async def test_how_long_a_token_may_live(
    tokens: AccessTokens, owner: Caller, clock: HeldClock, database: Database
) -> None:
    for seconds in (0.0, -1.0, LONGEST_SECONDS + 86400, float("nan")):
        with pytest.raises(Invalid):
            await tokens.create(owner, "x", seconds=seconds)
    week = AccessTokens(database, clock, 7 * 86400.0)
    assert (await week.create(owner, "short")).token.expires_at == clock.at + 7 * 86400
    with pytest.raises(Invalid, match="7 days"):
        await week.create(owner, "long", seconds=8 * 86400.0)


async def test_a_token_is_revoked(tokens: AccessTokens, owner: Caller, database: Database) -> None:
    made = await tokens.create(owner, "laptop")
    row = {"hash": unique("r"), "user_id": owner.identity.id, "access_token_id": made.token.id, "epoch": 1}
    more = {"service": "moorage", "created_at": 1.0, "expires_at": 9e9}
    await database.write(lambda connection: connection.execute(insert(refresh_tokens).values(**row, **more)))
    with pytest.raises(PreconditionFailed):
        await tokens.delete(owner, made.token.id, 7)
    await tokens.delete(owner, made.token.id, made.token.version)
    assert await database.lookup(ACCESS_TOKEN, hash_secret(made.secret)) is None
    left = select(refresh_tokens.c.id).where(refresh_tokens.c.user_id == owner.identity.id)
    assert await database.read(lambda connection: connection.execute(left).all()) == []
    assert (await tokens.create(owner, "laptop")).token.id != made.token.id


async def test_whose_tokens(tokens: AccessTokens, people: Users, owner: Caller) -> None:
    made = await tokens.create(owner, "laptop")
    bob = await people.create(SYSTEM, unique("bob"))
    other = as_user(bob.id, bob.name)
    for attempt in (tokens.get(other, made.token.id), tokens.delete(other, made.token.id)):
        with pytest.raises(ObjectUnknown):
            await attempt
    assert await tokens.list(other) == []
    assert await tokens.list(other, user_id=owner.identity.id) == []
    assert await tokens.list(owner) == [made.token]
    assert made.token in await tokens.list(ADMIN_CALLER, after=made.token.id - 1)
    with pytest.raises(Denied):
        await tokens.create(ADMIN_CALLER, "theirs", user_id=owner.identity.id)
    await tokens.delete(ADMIN_CALLER, made.token.id)
    assert await tokens.list(owner) == []


async def test_who_makes_no_tokens(tokens: AccessTokens, owner: Caller, alice: User, people: Users) -> None:
    personal = replace(owner, identity=replace(owner.identity, credential="pat:1"))
    limited = replace(owner, identity=replace(owner.identity, scopes=(Scope("repository", "a", frozenset()),)))
    robot = Caller(Identity("team+ci", "robot", alice.id))
    for caller in (personal, limited, robot, Caller(ANONYMOUS), SYSTEM):
        with pytest.raises(Denied):
            await tokens.create(caller, "x")
    assert (await tokens.create(SYSTEM, "by the operator", user_id=alice.id)).token.user == alice.name
    await people.change(SYSTEM, alice.id, UserChange(disabled=True))
    with pytest.raises(Denied):
        await tokens.create(owner, "y")


async def test_a_limited_token_ends_itself_alone(tokens: AccessTokens, owner: Caller) -> None:
    first, second = [await tokens.create(owner, name) for name in ("first", "second")]
    scopes = (Scope("repository", "a", frozenset({"pull"})),)
    limited = replace(owner, identity=replace(owner.identity, credential=f"pat:{first.token.id}", scopes=scopes))
    with pytest.raises(Denied):
        await tokens.delete(limited, second.token.id)
    await tokens.delete(limited, first.token.id)


async def test_a_token_name_is_taken_once(
    tokens: AccessTokens, owner: Caller, elsewhere: Database, clock: HeldClock
) -> None:
    others = AccessTokens(elsewhere, clock)
    both = (tokens.create(owner, "laptop"), others.create(owner, "laptop"))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert [type(result) for result in results if isinstance(result, Exception)] == [Conflict]


async def test_a_user_has_so_many_tokens(
    tokens: AccessTokens, owner: Caller, elsewhere: Database, clock: HeldClock
) -> None:
    others = AccessTokens(elsewhere, clock)
    for number in range(MOST_TOKENS - 1):
        await tokens.create(owner, f"number {number}")
    both = (tokens.create(owner, "one"), others.create(owner, "more"))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert [type(result) for result in results if isinstance(result, Exception)] == [Conflict]


async def test_tokens_in_pages(tokens: AccessTokens, owner: Caller) -> None:
    made = [(await tokens.create(owner, name)).token for name in ("c", "a", "b")]
    first = await tokens.list(owner, limit=2)
    assert first + await tokens.list(owner, after=first[-1].id, limit=2) == made
