"""Sessions and trust rules on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from moorage.accounts.sessions import IDLE_SECONDS, LIFE_SECONDS, MOST_OF_A_USER, Sessions
from moorage.accounts.trust_rules import TrustRuleChange, TrustRules, checked_issuer
from moorage.core.access import ADMIN, NOTHING, SYSTEM, Binding, Caller, Identity, Scope
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown, PreconditionFailed
from moorage.metadata.database import Database
from moorage.metadata.tables_access import audit, projects, robots, sessions, users
from moorage.metadata.trust_rules import TrustRule, live_rules_of

START = 1_000_000.0
CONDITIONS = [{"claim": "repository", "equals": "acme/app"}]


@dataclass
class HandClock:
    """A clock that is moved by hand."""

    at: float = START

    def now(self) -> float:
        return self.at


async def add_user(database: Database) -> tuple[int, str]:
    name = f"u{uuid.uuid4().hex[:12]}"
    values = {
        "name": name,
        "email": "",
        "admin": False,
        "disabled": False,
        "source": "local",
        "epoch": 3,
        "created_at": 1.0,
        "updated_at": 1.0,
        "version": 1,
    }
    statement = insert(users).values(values).returning(users.c.id)
    return await database.write(lambda connection: int(connection.execute(statement).scalar_one())), name


async def change_user(database: Database, user: int, **values: object) -> None:
    await database.write(lambda c: c.execute(update(users).where(users.c.id == user).values(values)).rowcount)


async def test_a_session_lives_until_it_is_idle_or_old(database: Database) -> None:
    clock = HandClock()
    ours = Sessions(database, clock)
    user, name = await add_user(database)
    secret = await ours.create(user, 3, "192.0.2.1")
    who = await ours.identify(secret)
    assert who == Identity(name, "user", user, credential="session")
    clock.at += IDLE_SECONDS - 1
    assert await ours.identify(secret) is not None
    clock.at += IDLE_SECONDS - 1
    assert await ours.identify(secret) is not None, "it was used meanwhile"
    clock.at += IDLE_SECONDS
    assert await ours.identify(secret) is None
    secret = await ours.create(user, 3)
    end = clock.at + LIFE_SECONDS
    while clock.at + IDLE_SECONDS / 2 < end:
        assert await ours.identify(secret) is not None
        clock.at += IDLE_SECONDS / 2
    clock.at = end
    assert await ours.identify(secret) is None


async def test_what_ends_a_session(database: Database) -> None:
    ours = Sessions(database, HandClock())
    user, name = await add_user(database)
    secret = await ours.create(user, 3)
    await change_user(database, user, disabled=True)
    assert await ours.identify(secret) is None
    await change_user(database, user, disabled=False)
    assert await ours.identify(secret) is not None
    await change_user(database, user, epoch=4)
    assert await ours.identify(secret) is None
    assert await ours.identify(await ours.create(user, 3)) is None, "proved before the change"
    first, second = await ours.create(user, 4), await ours.create(user, 4)
    assert await ours.end(first, "192.0.2.1", "request-1")
    assert not await ours.end(first)
    assert await ours.identify(first) is None
    assert await ours.identify(second) is not None
    assert await ours.end_all(user) >= 1
    assert await ours.identify(second) is None
    query = select(audit.c.action, audit.c.address, audit.c.request_id).where(audit.c.actor == name)
    assert await database.read(lambda c: [tuple(row) for row in c.execute(query)]) == [
        ("logout", "192.0.2.1", "request-1")
    ]


async def test_a_new_session_ends_the_one_before(database: Database) -> None:
    """Of whoever had the browser before, too; a word that is none, or one that has ended, does no harm."""
    ours = Sessions(database, HandClock())
    (ann, name), (bob, _) = await add_user(database), await add_user(database)
    first, other = await ours.create(ann, 3), await ours.create(ann, 3)
    second = await ours.create(bob, 3, "192.0.2.1", old=first, request_id="request-1")
    assert [await ours.identify(each) is not None for each in (first, other, second)] == [False, True, True]
    for old in (first, "mrg_ses_x", "\0", "x"):
        assert await ours.identify(await ours.create(bob, 3, old=old)) is not None
    query = select(audit.c.action, audit.c.address, audit.c.request_id).where(audit.c.actor == name)
    assert await database.read(lambda c: [tuple(row) for row in c.execute(query)]) == [
        ("logout", "192.0.2.1", "request-1")
    ]


@pytest.mark.parametrize("secret", ["", "x", "mrg_ses_x", "mrg_pat_" + "a" * 43, "mrg_ses_" + "a" * 43, "\0", "é" * 51])
async def test_what_is_no_session(database: Database, secret: str) -> None:
    ours = Sessions(database, HandClock())
    assert await ours.identify(secret) is None
    assert not await ours.end(secret)


async def test_sessions_do_not_pile_up_and_are_kept_as_hashes(database: Database) -> None:
    clock = HandClock()
    ours = Sessions(database, clock)
    user, _ = await add_user(database)
    made = []
    for _ in range(MOST_OF_A_USER + 3):
        clock.at += 1
        made.append(await ours.create(user, 3))
    rows = await database.read(
        lambda c: list(c.execute(select(sessions.c.hash).where(sessions.c.user_id == user)).scalars())
    )
    assert len(rows) == MOST_OF_A_USER
    assert not set(made) & set(rows)
    assert await ours.identify(made[0]) is None
    assert await ours.identify(made[-1]) is not None
    clock.at += LIFE_SECONDS + 10
    await ours.create(user, 3)
    rows = await database.read(
        lambda c: list(c.execute(select(sessions.c.hash).where(sessions.c.user_id == user)).scalars())
    )
    assert len(rows) == 1


class Admins:
    """A policy where a user is an admin of the project of the same name."""

    async def allowed(self, identity: Identity, name: str) -> frozenset[str]:
        return frozenset({ADMIN}) if identity.name == name else NOTHING

    async def granted(self, identity: Identity, scopes: Sequence[Scope]) -> list[Scope]:
        return []

    async def binding(self, name: str) -> Binding:
        return Binding(1, 0)


@pytest.fixture
def rules(database: Database) -> TrustRules:
    return TrustRules(database, HandClock(), Admins(), {"http://127.0.0.1:5556/dex"})


@pytest.fixture
def word() -> str:
    return f"w{uuid.uuid4().hex[:12]}"


async def add_robot(database: Database, project: str) -> int:
    def change(connection: Any) -> int:
        where = {"name": project, "visibility": "private", "create_on_push": "inherit", "public": False}
        rest = {"settings": "{}", "created_at": 1.0, "created_by": "", "version": 1, "description": ""}
        row = connection.execute(insert(projects).values({**where, **rest})).inserted_primary_key[0]
        robot = {"name": f"{project}+ci", "project_id": row, "disabled": False, "epoch": 1}
        done = connection.execute(insert(robots).values({**robot, "created_at": 1.0, "version": 1}))
        return int(done.inserted_primary_key[0])

    return await database.write(change)


async def test_the_life_of_a_trust_rule(database: Database, rules: TrustRules, word: str) -> None:
    robot = await add_robot(database, word)
    admin = Caller(Identity(word, "user", 1))
    issuer = f"https://{word}.example.com"
    made = await rules.create(
        admin, word, robot_id=robot, issuer=issuer, audience="https://registry.example.com", conditions=CONDITIONS
    )
    assert (made.name, made.robot, made.version, made.conditions) == (word, f"{word}+ci", 1, tuple(CONDITIONS))
    assert await rules.get(admin, made.id) == made
    assert await rules.list(admin, robot_id=robot) == await rules.list(SYSTEM, name=word) == [made]
    assert made in await rules.list(SYSTEM, prefix=word)
    for mark in (word, made.mark, f"{word} x", f"{word} {10**30}"):
        assert await rules.list(SYSTEM, prefix=word, after=mark) == []
    with pytest.raises(Conflict):
        await rules.create(admin, word, robot_id=robot, issuer=issuer, audience="a", conditions=CONDITIONS)
    with pytest.raises(PreconditionFailed):
        await rules.change(admin, made.id, TrustRuleChange(audience="b"), version=7)
    changed = await rules.change(admin, made.id, TrustRuleChange(audience="b", disabled=True), version=1)
    assert (changed.audience, changed.disabled, changed.version) == ("b", True, 2)
    assert await rules.change(admin, made.id, TrustRuleChange(audience="b")) == changed, "nothing changed"
    assert await database.read(lambda c: live_rules_of(c, issuer)) == []
    await rules.change(admin, made.id, TrustRuleChange(disabled=False, conditions=[{"claim": "x", "equals": 1}]))
    [live] = await database.read(lambda c: live_rules_of(c, issuer))
    assert (live.robot, live.conditions) == (f"{word}+ci", ({"claim": "x", "equals": 1},))
    with pytest.raises(Invalid, match="whose job"):
        await rules.change(
            admin, made.id, TrustRuleChange(issuer="https://token.actions.githubusercontent.com"), version=3
        )
    await rules.delete(admin, made.id, version=3)
    with pytest.raises(ObjectUnknown):
        await rules.get(admin, made.id)
    query = select(audit.c.action).where(audit.c.target_kind == "trust-rule", audit.c.target == word)
    actions = await database.read(lambda c: list(c.execute(query.order_by(audit.c.id)).scalars()))
    assert actions == ["trust-rule.create", "trust-rule.update", "trust-rule.update", "trust-rule.delete"]


async def test_robots_have_names_of_rules_to_themselves(database: Database, rules: TrustRules, word: str) -> None:
    """One project neither takes a name from another nor learns of its rules that way; lists skip none of them."""
    issuer = f"https://{word}.example.com"
    places = [f"{word}-{letter}" for letter in "abc"]
    made = []
    for place in places:
        admin, robot = Caller(Identity(place, "user", 1)), await add_robot(database, place)
        for name in (word, f"{word}-more"):
            new = {"issuer": issuer, "audience": "a", "conditions": CONDITIONS}
            made.append(await rules.create(admin, name, robot_id=robot, **new))  # type: ignore[arg-type]
        with pytest.raises(Conflict):
            await rules.change(admin, made[-1].id, TrustRuleChange(name=word))
        assert await rules.list(admin, robot_id=robot, name=word) == [made[-2]]
    expected = sorted(made, key=lambda rule: (rule.name, rule.id))
    assert await rules.list(SYSTEM, prefix=word) == expected
    found: list[TrustRule] = []
    while page := await rules.list(SYSTEM, prefix=word, after=found[-1].mark if found else "", limit=2):
        found += page
    assert found == expected
    assert [rule.robot for rule in await database.read(lambda c: live_rules_of(c, issuer, f"{places[1]}+ci"))] == [
        f"{places[1]}+ci"
    ] * 2


async def test_strangers_see_and_change_nothing(database: Database, rules: TrustRules, word: str) -> None:
    robot = await add_robot(database, word)
    made = await rules.create(
        SYSTEM, word, robot_id=robot, issuer=f"https://{word}.example.com", audience="a", conditions=CONDITIONS
    )
    stranger = Caller(Identity("somebody", "user", 2))
    for row in (made.id, 10**9):
        with pytest.raises(ObjectUnknown):
            await rules.get(stranger, row)
        with pytest.raises(ObjectUnknown):
            await rules.change(stranger, row, TrustRuleChange(disabled=True))
        with pytest.raises(ObjectUnknown):
            await rules.delete(stranger, row)
    for row in (robot, 10**9):
        with pytest.raises(ObjectUnknown):
            await rules.list(stranger, robot_id=row)
        with pytest.raises(ObjectUnknown):
            await rules.create(
                stranger, f"{word}-2", robot_id=row, issuer="https://x.example", audience="a", conditions=CONDITIONS
            )
    with pytest.raises(Denied):
        await rules.list(stranger)
    narrow = Caller(Identity(word, "user", 1, scopes=(Scope("repository", word, frozenset({"pull"})),)))
    with pytest.raises(Denied):
        await rules.delete(narrow, made.id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "With Blank"},
        {"name": "x" * 65},
        {"issuer": "http://id.example.com"},
        {"issuer": "ftp://id.example.com"},
        {"issuer": "https://"},
        {"issuer": "https://user@id.example.com"},
        {"issuer": "https://id.example.com/?a=b"},
        {"issuer": "https://id.example.com/#a"},
        {"issuer": "https://id.example.com:99999"},
        {"issuer": "https://id.example.com/" + "a" * 600},
        {"audience": ""},
        {"audience": "a\nb"},
        {"conditions": []},
        {"conditions": [{"claim": "iss", "equals": "x"}]},
    ],
)
async def test_rules_that_cannot_be(database: Database, rules: TrustRules, word: str, wrong: dict[str, Any]) -> None:
    robot = await add_robot(database, word)
    right: dict[str, Any] = {
        "name": word,
        "issuer": "https://id.example.com",
        "audience": "a",
        "conditions": CONDITIONS,
        **wrong,
    }
    with pytest.raises(Invalid):
        await rules.create(SYSTEM, right.pop("name"), robot_id=robot, **right)


def test_an_issuer_without_tls_must_be_configured() -> None:
    assert checked_issuer("http://127.0.0.1:5556/dex", plain=True)
    with pytest.raises(Invalid):
        checked_issuer("http://127.0.0.1:5556/dex")
