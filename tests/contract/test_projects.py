"""Projects, grants and the policy over both databases: nesting, visibility, first pushes, races, the catalog."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Connection, event, insert, select, update

from moorage.accounts.decision import decide
from moorage.accounts.explain import Explain
from moorage.accounts.grants import Grants
from moorage.accounts.policy import DatabasePolicy
from moorage.accounts.policy_document import PolicyDocuments
from moorage.accounts.projects import ProjectChange, Projects
from moorage.accounts.sight import DatabaseSight
from moorage.accounts.visibility import visible_repositories, visible_source
from moorage.accounts.wanted_grants import WantedGrant
from moorage.core.access import ADMIN, ANONYMOUS, EVERYTHING, NOTHING, PULL, ROLES, Identity, Scope
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.metadata.access_tokens import NewAccessToken, add_token, remove_token
from moorage.metadata.database import Database
from moorage.metadata.projects import is_within
from moorage.metadata.repositories import ensure_repository
from moorage.metadata.tables import repositories
from moorage.metadata.tables_access import audit, group_members, groups, projects, robots, users
from tests.support.accounts import ADMIN_CALLER, HeldClock, as_user, unique
from tests.support.facts import Facts
from tests.support.registry import Registry

NOW = 1_000_000.0


async def user(database: Database, name: str) -> Identity:
    """A user of that name."""
    values = {"name": name, "admin": False, "disabled": False, "source": "local", "epoch": 1, "version": 1}
    times = {"created_at": 1.0, "updated_at": 1.0}

    def change(connection: Connection) -> int:
        return int(connection.execute(insert(users).values({**values, **times}).returning(users.c.id)).scalar_one())

    return Identity(name, "user", await database.write(change), credential="password")


async def in_group(database: Database, name: str, member: Identity) -> None:
    """A group with that member."""

    def change(connection: Connection) -> None:
        made = {"name": name, "source": "local", "created_at": 1.0, "version": 1}
        row = connection.execute(insert(groups).values(made).returning(groups.c.id)).scalar_one()
        connection.execute(insert(group_members).values(group_id=row, user_id=member.id, source="local"))

    await database.write(change)


async def robot(database: Database, name: str, project_id: int) -> Identity:
    """A robot of a project."""
    values = {"name": name, "project_id": project_id, "disabled": False, "epoch": 1, "created_at": 1.0, "version": 1}

    def change(connection: Connection) -> int:
        return int(connection.execute(insert(robots).values(values).returning(robots.c.id)).scalar_one())

    return Identity(name, "robot", await database.write(change), credential="secret:1")


async def rows(database: Database, prefix: str) -> dict[str, tuple[str, bool]]:
    """Of each repository below a prefix, the name of its project, and whether it is public."""
    statement = (
        select(repositories.c.name, projects.c.name, repositories.c.public)
        .outerjoin(projects, projects.c.id == repositories.c.project_id)
        .where(repositories.c.name.startswith(prefix))
    )
    found = await database.read(lambda connection: connection.execute(statement).all())
    return {name: (project, bool(public)) for name, project, public in found}


async def push(database: Database, *names: str) -> None:
    """Repositories, as first pushes make them."""
    for name in names:
        await Facts(database).write(ensure_repository, name, NOW)


@pytest.fixture
def policy(database: Database) -> DatabasePolicy:
    return DatabasePolicy(database, HeldClock(NOW))


async def test_repositories_follow_the_projects_that_come_and_go(
    database: Database, making: Projects, team: str
) -> None:
    await push(database, f"{team}/a", f"{team}/in/b", f"{team}/in/deep/c", f"{team}-not/x")
    outer = await making.create(ADMIN_CALLER, team, visibility="public")
    inner = await making.create(ADMIN_CALLER, f"{team}/in")
    await push(database, f"{team}/in", f"{team}/later")
    assert await rows(database, team) == {
        f"{team}/a": (team, True),
        f"{team}/in/b": (f"{team}/in", True),
        f"{team}/in/deep/c": (f"{team}/in", True),
        f"{team}-not/x": ("", False),
        f"{team}/in": (f"{team}/in", True),
        f"{team}/later": (team, True),
    }
    await making.change(ADMIN_CALLER, outer.id, ProjectChange(visibility="private"))
    assert {public for _, public in (await rows(database, team)).values()} == {False}
    await making.change(ADMIN_CALLER, inner.id, ProjectChange(visibility="public"))
    assert {name for name, (_, public) in (await rows(database, team)).items() if public} == {
        f"{team}/in",
        f"{team}/in/b",
        f"{team}/in/deep/c",
    }


async def test_a_project_of_the_same_name_is_another_one(
    database: Database, making: Projects, policy: DatabasePolicy, team: str
) -> None:
    made = await making.create(ADMIN_CALLER, team)
    await push(database, f"{team}/app")
    before = await policy.binding(f"{team}/app")
    assert before.project == made.id
    assert before.repository > 0
    await making.delete(ADMIN_CALLER, made.id, force=True)
    again = await making.create(ADMIN_CALLER, team)
    assert (await policy.binding(f"{team}/app")).project == again.id != made.id
    assert (await policy.binding(f"{team}/app")).repository == 0
    await push(database, f"{team}/app")
    after = await policy.binding(f"{team}/app")
    assert after.project == again.id
    assert after.repository > 0


async def test_what_a_push_may_make(database: Database, making: Projects, team: str) -> None:
    await making.create(ADMIN_CALLER, team, create_on_push="no")
    with pytest.raises(Denied, match="create_on_push"):
        await push(database, f"{team}/app")
    assert await rows(database, team) == {}
    await making.create(ADMIN_CALLER, f"{team}/teams", create_on_push="projects")
    await push(database, f"{team}/teams/alpha/app", f"{team}/teams/alpha/deep/er", f"{team}/teams/beta")
    assert await rows(database, team) == {
        f"{team}/teams/alpha/app": (f"{team}/teams/alpha", False),
        f"{team}/teams/alpha/deep/er": (f"{team}/teams/alpha", False),
        f"{team}/teams/beta": (f"{team}/teams/beta", False),
    }


async def test_first_pushes_while_a_project_is_made(
    database: Database, elsewhere: Database, making: Projects, team: str
) -> None:
    names = [f"{team}/{word}/app{number}" for number in range(6) for word in ("in", "out")]
    other = Projects(elsewhere, HeldClock(NOW))
    await asyncio.gather(
        making.create(ADMIN_CALLER, team, visibility="public"),
        other.create(ADMIN_CALLER, f"{team}/in", visibility="private"),
        *(push((database, elsewhere)[number % 2], name) for number, name in enumerate(names)),
    )
    assert await rows(database, team) == {
        name: ((f"{team}/in", False) if "/in/" in name else (team, True)) for name in names
    }


async def test_many_first_pushes_make_one_project(
    database: Database, elsewhere: Database, making: Projects, team: str
) -> None:
    await making.create(ADMIN_CALLER, team, create_on_push="projects")
    names = [f"{team}/one/app{number % 4}" for number in range(12)]
    await asyncio.gather(*(push((database, elsewhere)[number % 2], name) for number, name in enumerate(names)))
    assert await rows(database, team) == dict.fromkeys(set(names), (f"{team}/one", False))


async def test_the_rules(
    database: Database, making: Projects, granting: Grants, policy: DatabasePolicy, team: str
) -> None:
    alice, bob = await user(database, unique("alice")), await user(database, unique("bob"))
    await in_group(database, unique("devs"), bob)
    outer = await making.create(ADMIN_CALLER, team)
    inner = await making.create(ADMIN_CALLER, f"{team}/in")
    app, deep = f"{team}/app", f"{team}/in/x"
    assert await policy.allowed(alice, app) == NOTHING

    async def grant(project_id: int, principal: Identity, **how: object) -> int:
        wanted = WantedGrant(principal.kind, principal.name, **how)  # type: ignore[arg-type]
        return (await granting.create(ADMIN_CALLER, project_id, wanted)).grant.id

    await grant(outer.id, alice, role="writer")
    assert await policy.allowed(alice, app) == ROLES["writer"]
    assert await policy.allowed(alice, deep) == ROLES["writer"]
    assert await policy.allowed(alice, f"{team}-not/app") == NOTHING
    await grant(inner.id, alice, actions=("push", "overwrite"), effect="deny")
    assert await policy.allowed(alice, deep) == {PULL}
    await grant(outer.id, bob, role="reader", pattern=f"{team}/*")
    assert await policy.allowed(bob, app) == {PULL}
    assert await policy.allowed(bob, deep) == NOTHING
    narrow = Identity(alice.name, "user", alice.id, scopes=(Scope("repository", f"{team}/in/**", frozenset({"*"})),))
    assert await policy.allowed(narrow, app) == NOTHING
    assert await policy.allowed(narrow, deep) == {PULL}
    helper = await robot(database, f"{team}/in+ci", inner.id)
    await grant(inner.id, helper, role="admin")
    assert await policy.allowed(helper, deep) == EVERYTHING
    with pytest.raises(Invalid, match="belongs to"):
        await grant(outer.id, helper, role="reader")
    assert await policy.allowed(ANONYMOUS, app) == NOTHING
    await making.change(ADMIN_CALLER, outer.id, ProjectChange(visibility="public"))
    for anybody in (ANONYMOUS, helper, narrow, bob):
        assert PULL in await policy.allowed(anybody, app)


@pytest.mark.parametrize("pattern", ["{}", "{}*", "*", "**", "{}/**"])
async def test_a_pattern_makes_nobody_an_admin(
    database: Database, making: Projects, granting: Grants, policy: DatabasePolicy, team: str, pattern: str
) -> None:
    """Though the project's own name may fit: it is the name of a repository there."""
    alice = await user(database, unique("alice"))
    project = await making.create(ADMIN_CALLER, team)
    written = pattern.format(team)
    await granting.create(ADMIN_CALLER, project.id, WantedGrant("user", alice.name, role="admin", pattern=written))
    reached = team if written != f"{team}/**" else f"{team}/app"
    assert await policy.allowed(alice, reached) == ROLES["maintainer"]
    caller = as_user(alice.id, alice.name)
    with pytest.raises((Denied, ObjectUnknown)):
        await granting.create(caller, project.id, WantedGrant("user", alice.name, role="admin"))
    with pytest.raises((Denied, ObjectUnknown)):
        await making.change(caller, project.id, ProjectChange(visibility="public"))
    with pytest.raises(Denied):
        await making.create(caller, f"{team}/nested")
    await granting.create(ADMIN_CALLER, project.id, WantedGrant("user", alice.name, actions=("admin",)))
    await making.create(caller, f"{team}/nested")
    deny = WantedGrant("user", alice.name, actions=("admin",), pattern=f"{team}/nested/**", effect="deny")
    await granting.create(ADMIN_CALLER, project.id, deny)
    assert ADMIN in await policy.allowed(alice, team)
    assert ADMIN not in await policy.allowed(alice, f"{team}/nested"), "all below it is taken away"


async def test_a_grant_ends(database: Database, making: Projects, team: str) -> None:
    clock = HeldClock(NOW)
    alice = await user(database, unique("alice"))
    project = await making.create(ADMIN_CALLER, team)
    wanted = WantedGrant("user", alice.name, role="reader", expires_at=NOW + 10)
    await Grants(database, clock).create(ADMIN_CALLER, project.id, wanted)
    policy = DatabasePolicy(database, clock)
    assert await policy.allowed(alice, f"{team}/app") == {PULL}
    clock.at = NOW + 10
    assert await policy.allowed(alice, f"{team}/app") == NOTHING


async def test_a_groups_members_have_what_it_has(
    database: Database, making: Projects, granting: Grants, policy: DatabasePolicy, team: str
) -> None:
    bob, devs = await user(database, unique("bob")), unique("devs")
    await in_group(database, devs, bob)
    project = await making.create(ADMIN_CALLER, team)
    await granting.create(ADMIN_CALLER, project.id, WantedGrant("group", devs, role="maintainer"))
    assert await policy.allowed(bob, f"{team}/app") == ROLES["maintainer"]
    found = await Explain(database, HeldClock(NOW)).explain(ADMIN_CALLER, "user", bob.name, f"{team}/app", "delete")
    assert found.allowed
    assert devs in found.reason


def granted_names(words: Sequence[str], chance: random.Random) -> tuple[str, str]:
    """A project of those, and a pattern of names in it."""
    project = chance.choice(words)
    pattern = chance.choice(("", "", f"{project}/**", f"{project}/*", f"{project}/a*", f"{project}/*/c"))
    return project, pattern


@pytest.mark.parametrize("seed", range(6))
async def test_the_catalog_is_what_the_policy_says_of_each(
    database: Database, making: Projects, granting: Grants, team: str, seed: int
) -> None:
    chance = random.Random(seed)
    places = [team, f"{team}/a", f"{team}/a-b", f"{team}/a/b", f"{team}/z"]
    made = {
        name: (await making.create(ADMIN_CALLER, name, visibility=chance.choice(("inherit", "public", "private")))).id
        for name in places
    }
    names = sorted({f"{place}{end}" for place in places for end in ("", "/a", "/a1", "/c", "/q/c", "-x", ".y/c")})
    await push(database, *names)
    alice = await user(database, unique("alice"))
    helper = await robot(database, f"{team}/a+ci", made[f"{team}/a"])
    for who in (alice, alice, alice, helper):
        project, pattern = granted_names([name for name in places if is_within(name, f"{team}/a")], chance)
        effect = chance.choice(("allow", "allow", "deny"))
        wanted = WantedGrant(who.kind, who.name, role="reader", pattern=pattern, effect=effect)
        with suppress(Conflict):  # chance wanted the same twice
            await granting.create(ADMIN_CALLER, made[project], wanted)
    narrow = Identity(alice.name, "user", alice.id, scopes=(Scope("repository", f"{team}/a/*", frozenset({PULL})),))
    sight = DatabaseSight(database, HeldClock(NOW))
    for who in (alice, helper, narrow, ANONYMOUS):

        def expected(connection: Connection, who: Identity = who) -> list[str]:
            return [name for name in names if PULL in decide(connection, who, name, NOW).actions]

        wanted_names = await database.read(expected)
        found = await sight.repositories(who, f"{team}", 10_000)
        assert [name for name in found if name.startswith(team)] == [name for name in wanted_names if name > team]
        pages, last = [], f"{team}/"
        while page := await sight.repositories(who, last, 3):
            assert page == sorted(set(page))
            pages += [name for name in page if name.startswith(team)]
            last = page[-1]
        assert pages == [name for name in wanted_names if name > f"{team}/"]


async def test_hidden_names_cost_nothing(database: Database, making: Projects, granting: Grants, team: str) -> None:
    """However many are hidden, the statements of a page are as many."""
    alice = await user(database, unique("alice"))
    shown = await making.create(ADMIN_CALLER, f"{team}/zz")
    await granting.create(ADMIN_CALLER, shown.id, WantedGrant("user", alice.name, role="reader"))
    await push(database, f"{team}/zz/app")
    await making.create(ADMIN_CALLER, f"{team}/hidden")

    def count(connection: Connection) -> int:
        sent: list[str] = []
        listener = lambda *args: sent.append(str(args[2]))  # noqa: E731 - to be removed again
        event.listen(connection, "before_cursor_execute", listener)
        try:
            assert f"{team}/zz/app" in visible_repositories(connection, alice, team, 1000, NOW)
        finally:
            event.remove(connection, "before_cursor_execute", listener)
        return len(sent)

    before = await database.read(count)
    await push(database, *(f"{team}/hidden/app{number}" for number in range(40)))
    assert await database.read(count) == before


async def test_a_mount_costs_nothing_for_what_is_hidden(
    database: Database, making: Projects, granting: Grants, team: str
) -> None:
    """However many hidden repositories have a blob, the statements of a look for it are as many, and go by keys."""
    alice = await user(database, unique("alice"))
    shown = (await making.create(ADMIN_CALLER, f"{team}/shown")).id
    await granting.create(ADMIN_CALLER, shown, WantedGrant("user", alice.name, role="reader", pattern=f"{team}/*/a*"))
    deny = WantedGrant("user", alice.name, role="reader", effect="deny", pattern=f"{team}/shown/app-denied")
    await granting.create(ADMIN_CALLER, shown, deny)
    registry, sight = Registry(database), DatabaseSight(database, HeldClock(NOW))
    layer = unique("layer").encode()
    found = await registry.push_blob(f"{team}/hidden/first", layer)

    def sent(connection: Connection) -> list[str]:
        statements: list[str] = []
        listener = lambda *args: statements.append(str(args[2]))  # noqa: E731 - to be removed again
        event.listen(connection, "before_cursor_execute", listener)
        try:
            assert visible_source(connection, alice, found, NOW) is None
        finally:
            event.remove(connection, "before_cursor_execute", listener)
        return statements

    before = await database.read(sent)
    for number in range(20):
        await registry.push_blob(f"{team}/hidden/app{number}", layer)
    await registry.push_blob(f"{team}/shown/app-denied", layer)
    assert await database.read(sent) == before
    await registry.push_blob(f"{team}/shown/app", layer)
    assert await sight.source(alice, found) == f"{team}/shown/app"
    root = Identity("root", "user", 1, admin=True)
    assert await sight.source(root, found) is not None
    narrow = Identity("root", "user", 1, admin=True, scopes=(Scope("repository", f"{team}/no/*", frozenset({"*"})),))
    assert await sight.source(narrow, found) is None


async def test_who_may_pull_everything_mounts_from_anywhere(
    database: Database, granting: Grants, team: str, making: Projects
) -> None:
    alice = await user(database, unique("alice"))
    await granting.create(ADMIN_CALLER, 1, WantedGrant("user", alice.name, role="reader"))
    await making.create(ADMIN_CALLER, f"{team}/private", visibility="private")
    found = await Registry(database).push_blob(f"{team}/private/app", unique("layer").encode())
    assert await DatabaseSight(database, HeldClock(NOW)).source(alice, found) == f"{team}/private/app"


async def test_a_token_reaches_as_far_as_what_it_was_got_with(database: Database, making: Projects, team: str) -> None:
    """A Bearer token says neither who is an admin nor what its personal access token was narrowed to."""
    alice = await user(database, unique("alice"))
    await making.create(ADMIN_CALLER, team)
    await Grants(database, HeldClock(NOW)).create(ADMIN_CALLER, 1, WantedGrant("user", alice.name, role="reader"))
    scopes = (f"repository:{team}/app:pull",)
    made = NewAccessToken(alice.id, unique("narrow"), unique("hash"), scopes, None)
    pat = await database.write(lambda connection: add_token(connection, made, NOW))
    assert pat is not None
    policy = DatabasePolicy(database, HeldClock(NOW))
    token = Identity(alice.name, "user", alice.id, access={})
    assert await policy.allowed(token, f"{team}/other") == {PULL}
    assert await policy.allowed(replace(token, pat=pat), f"{team}/app") == {PULL}
    assert await policy.allowed(replace(token, pat=pat), f"{team}/other") == NOTHING
    await database.write(lambda connection: remove_token(connection, pat))
    assert await policy.allowed(replace(token, pat=pat), f"{team}/app") == NOTHING
    values = update(users).where(users.c.id == alice.id).values(disabled=True)
    await database.write(lambda connection: connection.execute(values))
    assert await policy.allowed(token, f"{team}/other") == NOTHING


STATEMENT: dict[str, object] = {
    "Sid": "AllowCrossAccountPull",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::987654321098:root"},
    "Action": ["ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability"],
}
DOCUMENT = {"Version": "2012-10-17", "Statement": [STATEMENT]}


async def test_a_policy_document_twice(
    database: Database, making: Projects, granting: Grants, policy: DatabasePolicy, team: str
) -> None:
    alice = await user(database, unique("alice"))
    project = await making.create(ADMIN_CALLER, team)
    documents = PolicyDocuments(granting)
    unread = await documents.apply(ADMIN_CALLER, project.id, DOCUMENT)
    assert (unread.made, len(unread.problems)) == ((), 1)
    assert "987654321098" in unread.problems[0].message
    known = {"arn:aws:iam::987654321098:root": f"user:{alice.name}"}
    first = await documents.apply(ADMIN_CALLER, project.id, DOCUMENT, principals=known)
    assert (len(first.made), first.kept, first.removed, first.problems) == (1, (), (), ())
    assert await policy.allowed(alice, f"{team}/app") == {PULL}
    second = await documents.apply(ADMIN_CALLER, project.id, DOCUMENT, principals=known)
    assert (second.made, second.kept, second.removed) == ((), first.made, ())
    more = {"Statement": [{**STATEMENT, "Action": "ecr:*"}]}
    third = await documents.apply(ADMIN_CALLER, project.id, more, principals=known)
    assert (len(third.made), third.removed) == (1, first.made)
    assert await policy.allowed(alice, f"{team}/app") == EVERYTHING - {"admin"}
    with pytest.raises(Denied):
        await documents.apply(as_user(alice.id, alice.name), project.id, more, principals=known)


async def test_a_push_is_in_the_audit_log_of_its_project(database: Database, making: Projects, team: str) -> None:
    project = await making.create(ADMIN_CALLER, team, create_on_push="projects")
    await Registry(database, audit=True).push_blob(f"{team}/one/app", b"some content")
    statement = select(audit.c.action, audit.c.target, audit.c.project_id).where(audit.c.target.startswith(team))
    found = await database.read(lambda connection: connection.execute(statement.order_by(audit.c.id)).all())
    places = await rows(database, team)
    assert places == {f"{team}/one/app": (f"{team}/one", False)}
    assert [(action, target) for action, target, _ in found] == [
        ("project.create", team),
        ("project.create", f"{team}/one"),
        ("blob.push", f"{team}/one/app"),
    ]
    assert found[0][2] == project.id != found[2][2]
