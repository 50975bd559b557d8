"""Search over both databases: all that is seen, nothing that is hidden, in full pages, without reading everything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event

from moorage.accounts import visibility
from moorage.accounts.grants import Grants
from moorage.accounts.policy import DatabasePolicy
from moorage.accounts.projects import Projects
from moorage.accounts.search import Search
from moorage.accounts.visibility import Wanted, search
from moorage.accounts.wanted_grants import WantedGrant
from moorage.core.access import PULL, Caller, Identity, Scope
from moorage.core.errors import Conflict, Invalid
from moorage.metadata.database import Database
from moorage.metadata.projects import is_within
from moorage.metadata.repositories import ensure_repository
from tests.contract.test_projects import granted_names, in_group, robot, user
from tests.support.accounts import ADMIN_CALLER, HeldClock, unique

NOW = 1_000_000.0
BOTH = ("project", "repository")


@pytest.fixture
def searching(database: Database) -> Search:
    return Search(database, HeldClock(NOW))


async def push(database: Database, *names: str) -> None:
    for name in names:
        await database.write(lambda connection, name=name: ensure_repository(connection, name, NOW))  # type: ignore[misc]


async def everything(searching: Search, who: Identity, text: str, n: int, kind: str = "") -> list[tuple[str, str]]:
    """All pages; each must be full but the last."""
    found: list[tuple[str, str]] = []
    after = ""
    while True:
        page = await searching.find(Caller(who), text, kind=kind, after=after, limit=n)
        found += [(hit.name, hit.kind) for hit in page.hits]
        if page.next is None:
            return found
        assert len(page.hits) == n
        assert page.next == (page.hits[-1].name, page.hits[-1].kind)
        after = f"{page.next[1]}:{page.next[0]}"


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_found_is_what_the_policy_says_of_each(
    database: Database, making: Projects, granting: Grants, searching: Search, team: str, seed: int
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
    crowd = unique("crowd")
    await in_group(database, crowd, alice)
    inside = [name for name in places if is_within(name, f"{team}/a")]
    for kind, name in (("user", alice.name), ("user", alice.name), ("group", crowd), ("robot", helper.name)):
        project, pattern = granted_names(inside, chance)
        effect = chance.choice(("allow", "allow", "deny"))
        wanted = WantedGrant(kind, name, role="reader", pattern=pattern, effect=effect)
        try:
            await granting.create(ADMIN_CALLER, made[project], wanted)
        except Conflict:
            continue
    narrow = Identity(alice.name, "user", alice.id, scopes=(Scope("repository", f"{team}/a/*", frozenset({PULL})),))
    policy = DatabasePolicy(database, HeldClock(NOW))
    for who in (alice, helper, narrow, ADMIN_CALLER.identity):
        seen = [(name, "repository") for name in names if PULL in await policy.allowed(who, name)]
        seen += [(name, "project") for name in places if await policy.allowed(who, name)]
        for text in (team, f"{team}/a", "/q", "/a1", "y/c", "/a/b"):
            expected = sorted(hit for hit in seen if text in hit[0])
            for n in (2, 7, 100):
                found = [hit for hit in await everything(searching, who, text, n) if hit[0].startswith(team)]
                assert found == expected, (who, text, n)
        for kind in BOTH:
            found = await everything(searching, who, team, 3, kind)
            assert found == sorted(hit for hit in seen if hit[1] == kind)


async def test_a_project_and_a_repository_of_one_name_are_on_two_pages(
    database: Database, making: Projects, searching: Search, team: str
) -> None:
    await making.create(ADMIN_CALLER, team)
    await push(database, team, f"{team}-b")
    found = await everything(searching, ADMIN_CALLER.identity, team, 1)
    assert found == [(team, "project"), (team, "repository"), (f"{team}-b", "repository")]


async def test_the_id_of_a_project(making: Projects, searching: Search, team: str) -> None:
    row = (await making.create(ADMIN_CALLER, team)).id
    (hit,) = (await searching.find(ADMIN_CALLER, team.upper())).hits
    assert (hit.kind, hit.id) == ("project", row)


async def test_of_much_that_does_not_fit_only_so_much_is_looked_at(
    database: Database, making: Projects, granting: Grants, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that are hidden do not count: the answers of who sees less are the same as if there were no more."""
    monkeypatch.setattr(visibility, "MOST_LOOKED_AT", 5)
    alice = await user(database, unique("alice"))
    row = (await making.create(ADMIN_CALLER, team)).id
    await granting.create(ADMIN_CALLER, row, WantedGrant("user", alice.name, role="reader"))
    shown = [f"{team}/n{number}" for number in range(12)]
    await push(database, *shown, f"{team}/wanted")

    async def pages() -> list[tuple[list[str], tuple[str, str] | None]]:
        found = []
        after = ("", "")
        while True:
            wanted = Wanted("wanted", after=after, limit=3)
            page = await database.read(lambda c, wanted=wanted: search(c, alice, wanted, NOW))  # type: ignore[misc]
            found.append(([hit.name for hit in page.hits], page.next))
            if page.next is None:
                return found
            after = page.next

    before = await pages()
    assert [hits for hits, _ in before if hits] == [[f"{team}/wanted"]]
    assert len(before) >= 3  # 14 names, five at a time; others are public
    assert any(not hits for hits, following in before if following is not None)
    # Hidden ones between those that are seen, and among them one that would fit.
    await push(database, *(f"{team}/n{number}-hidden" for number in range(12)), f"{team}/n3-hidden/wanted")
    denied = WantedGrant("user", alice.name, actions=("pull",), pattern=f"{team}/*-hidden", effect="deny")
    await granting.create(ADMIN_CALLER, row, denied)
    deeper = WantedGrant("user", alice.name, actions=("pull",), pattern=f"{team}/*-hidden/**", effect="deny")
    await granting.create(ADMIN_CALLER, row, deeper)
    assert await pages() == before


@contextmanager
def counted(connection: Connection) -> Iterator[list[str]]:
    sent: list[str] = []

    def listener(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(connection, "before_cursor_execute", listener)
    try:
        yield sent
    finally:
        event.remove(connection, "before_cursor_execute", listener)


async def test_a_page_costs_a_bounded_number_of_queries(
    database: Database, making: Projects, granting: Grants, team: str
) -> None:
    """Not more with the projects and repositories that there are, hidden or not."""
    alice = await user(database, unique("alice"))
    row = (await making.create(ADMIN_CALLER, team, visibility="private")).id
    await granting.create(ADMIN_CALLER, row, WantedGrant("user", alice.name, role="reader"))
    for number in range(20):
        await making.create(ADMIN_CALLER, f"{team}/p{number:02}")
        await push(database, f"{team}/p{number:02}/app")

    def query(connection: Connection) -> int:
        with counted(connection) as sent:
            assert len(search(connection, alice, Wanted(team, limit=1000), NOW).hits) == 41
        return len(sent)

    assert await database.read(query) < 15


@pytest.mark.parametrize("text", ["", "x" * 256])
async def test_what_cannot_be_searched_for(searching: Search, text: str) -> None:
    with pytest.raises(Invalid):
        await searching.find(ADMIN_CALLER, text)


@pytest.mark.parametrize("after", ["x", "project:", "user:x", "project:X", "project:x\0", ":", "project:" + "x" * 256])
async def test_what_no_page_begins_behind(searching: Search, after: str) -> None:
    with pytest.raises(Invalid):
        await searching.find(ADMIN_CALLER, "x", after=after)


@pytest.mark.parametrize("text", ["%", "_%", "a'b", "\u00e4", "*", "a b", "\x00"])
async def test_what_stands_in_no_name_finds_nothing(searching: Search, text: str) -> None:
    found = await searching.find(ADMIN_CALLER, text)
    assert (found.hits, found.next) == ([], None)
