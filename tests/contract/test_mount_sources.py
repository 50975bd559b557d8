"""Mounts without `from` for who sees more repositories than are looked at one by one, over both databases."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import Connection, event, insert

from moorage.accounts import visibility
from moorage.accounts.grants import Grants
from moorage.accounts.projects import Projects
from moorage.accounts.visibility import visible_source
from moorage.accounts.wanted_grants import WantedGrant
from moorage.core.access import ANONYMOUS, Identity
from moorage.core.digest import digest_of
from moorage.metadata.blobs import StoredBlob, add_blob, link_blob, links_from
from moorage.metadata.database import Database
from moorage.metadata.repositories import ensure_repository
from moorage.metadata.tables_access import users
from tests.support.accounts import ADMIN_CALLER, HeldClock, unique

NOW = 1_000_000.0


async def link(database: Database, digest: str, *names: str) -> None:
    """Repositories that link a blob."""

    def change(connection: Connection) -> None:
        add_blob(connection, StoredBlob(digest, 1, "x"), NOW)
        for name in names:
            link_blob(connection, ensure_repository(connection, name, NOW), digest, NOW)

    await database.write(change)


def look(connection: Connection, who: Identity, digest: str) -> tuple[str | None, list[str], int]:
    """What is found, the statements that were sent, and how many repositories were weighed."""
    statements: list[str] = []
    weighed = 0
    shows = visibility._View.shows

    def counted(self: visibility._View, name: str, *, public: bool) -> bool:
        nonlocal weighed
        weighed += 1
        return shows(self, name, public=public)

    listener = lambda *args: statements.append(str(args[2]))  # noqa: E731 - to be removed again
    event.listen(connection, "before_cursor_execute", listener)
    visibility._View.shows = counted  # type: ignore[method-assign]
    try:
        found = visible_source(connection, who, digest, NOW)
    finally:
        visibility._View.shows = shows  # type: ignore[method-assign]
        event.remove(connection, "before_cursor_execute", listener)
    return found, statements, weighed


@pytest.fixture
def team() -> str:
    return unique("team")


@pytest.fixture
async def alice(database: Database, team: str) -> Identity:
    """Somebody who may pull what lies in `<team>/shown`, which has 30 repositories."""
    values = {"name": unique("alice"), "admin": False, "disabled": False, "source": "local", "epoch": 1, "version": 1}

    def add(connection: Connection) -> int:
        row = {**values, "created_at": 1.0, "updated_at": 1.0}
        made = int(connection.execute(insert(users).values(row).returning(users.c.id)).scalar_one())
        for number in range(30):
            ensure_repository(connection, f"{team}/shown/app{number:02}", NOW)
        return made

    who = Identity(str(values["name"]), "user", await database.write(add), credential="password")
    shown = await Projects(database, HeldClock(NOW)).create(ADMIN_CALLER, f"{team}/shown")
    await Grants(database, HeldClock(NOW)).create(ADMIN_CALLER, shown.id, WantedGrant("user", who.name, role="reader"))
    return who


async def test_blob_of_the_last_of_very_many_repositories(
    database: Database, alice: Identity, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "MOST_SOURCES", 5)
    first, last, hidden = (digest_of(f"{team} {word}".encode()) for word in ("first", "last", "hidden"))
    await link(database, first, f"{team}/shown/app02")
    await link(database, last, *(f"{team}/hidden/app{number}" for number in range(20)), f"{team}/shown/app29")
    await link(database, hidden, f"{team}/hidden/app0")

    async def found(digest: str) -> str | None:
        return (await database.read(lambda connection: look(connection, alice, digest)))[0]

    assert await found(first) == f"{team}/shown/app02"
    assert await found(last) == f"{team}/shown/app29"
    assert await found(hidden) is None
    await link(database, digest_of(b"a neighbour"), f"{team}/shown/app28")
    assert await found(hidden) is None


async def test_public_repository_that_is_far_down_is_found(
    database: Database, alice: Identity, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "MOST_SOURCES", 5)
    await Projects(database, HeldClock(NOW)).create(ADMIN_CALLER, f"{team}/zz", visibility="public")
    wanted = digest_of(f"{team} public".encode())
    names = [f"{team}/zz/app{number:02}" for number in range(9)]
    await link(database, digest_of(f"{team} other".encode()), *names)
    await link(database, wanted, f"{team}/hidden/app", names[-1])

    async def found(who: Identity) -> str | None:
        return (await database.read(lambda connection: look(connection, who, wanted)))[0]

    assert await found(ANONYMOUS) == names[-1]
    assert await found(alice) == names[-1]


async def test_hidden_cannot_be_told_from_absent(
    database: Database, alice: Identity, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many statements, rows and decisions, however many hidden repositories have it."""
    monkeypatch.setattr(visibility, "MOST_SOURCES", 5)
    monkeypatch.setattr(visibility, "MOST_HOLDERS", 20)
    neighbours = [f"sha256:{hashlib.sha256(f'{team} {number}'.encode()).hexdigest()}" for number in range(40)]
    for digest in neighbours:
        await link(database, digest, f"{team}/hidden/app")
    wanted = digest_of(f"{team} wanted".encode())
    absent = await database.read(lambda connection: look(connection, alice, wanted))
    await link(database, wanted, f"{team}/hidden/one")
    once = await database.read(lambda connection: look(connection, alice, wanted))
    await link(database, wanted, *(f"{team}/hidden/app{number}" for number in range(50)))
    often = await database.read(lambda connection: look(connection, alice, wanted))
    assert absent == once == often
    assert absent[0] is None
    assert absent[2] == 20


async def test_who_sees_few_is_asked_no_further(database: Database, alice: Identity, team: str) -> None:
    wanted = digest_of(f"{team} wanted".encode())
    await link(database, wanted, f"{team}/hidden/app")
    found, statements, weighed = await database.read(lambda connection: look(connection, alice, wanted))
    assert (found, weighed) == (None, 0)
    assert not any("ORDER BY blob_links.digest" in statement for statement in statements)


async def test_links_go_on_with_the_first(database: Database, team: str) -> None:
    await link(database, "sha256:0", f"{team}/low")
    await link(database, "sha512:f", f"{team}/high")
    found = await database.read(lambda connection: links_from(connection, "sha512:f", 2))
    assert found == [("sha512:f", f"{team}/high", False), ("sha256:0", f"{team}/low", False)]
