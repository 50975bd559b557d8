"""What every `Database` promises, on SQLite and on PostgreSQL: the same answers, and nothing lost or half done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError

from moorage.core.errors import ManifestUnknown, RegistryError, Unavailable
from moorage.metadata.database import Database, Lookup
from moorage.metadata.factory import open_database
from moorage.metadata.repositories import ensure_repository, find_repository, list_repositories
from moorage.metadata.tables import repositories
from tests.support.facts import Facts, opened


def making(name: str, at: float = 1.0) -> Callable[[Connection], int]:
    return lambda connection: ensure_repository(connection, name, at)


def finding(name: str) -> Callable[[Connection], int | None]:
    return lambda connection: find_repository(connection, name)


BY_NAME = Lookup(select(repositories.c.id).where(repositories.c.name == bindparam("name")), ("name",))


async def test_a_write_gives_back_what_its_change_returns(facts: Facts, name: str) -> None:
    made = await facts.write(ensure_repository, name, 1.0)
    assert isinstance(made, int)
    assert await facts.read(find_repository, name) == made


@pytest.mark.parametrize("durable", [True, False])
async def test_a_write_is_seen_at_once_by_everybody(
    database: Database, elsewhere: Database, name: str, durable: bool
) -> None:
    made = await database.write(making(name), durable=durable)
    assert await database.read(finding(name)) == made
    assert await elsewhere.read(finding(name)) == made
    assert await elsewhere.lookup(BY_NAME, name) is not None


async def test_a_write_outlives_its_database_object(database_url: str, name: str) -> None:
    async with opened(database_url) as database:
        made = await database.write(making(name))
    async with opened(database_url) as database:
        assert await database.read(finding(name)) == made


async def test_what_a_change_raises_undoes_it(facts: Facts, name: str) -> None:
    def change(connection: Connection) -> None:
        ensure_repository(connection, name, 1.0)
        raise ManifestUnknown

    with pytest.raises(ManifestUnknown):
        await facts.database.write(change)
    assert await facts.read(find_repository, name) is None


async def test_a_bug_in_a_change_is_raised_as_it_is_and_undone(facts: Facts, name: str) -> None:
    def change(connection: Connection) -> None:
        ensure_repository(connection, name, 1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await facts.database.write(change)
    assert await facts.read(find_repository, name) is None


async def test_a_statement_that_fails_undoes_its_change(facts: Facts, name: str) -> None:
    def change(connection: Connection) -> None:
        ensure_repository(connection, name, 1.0)
        connection.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises((Unavailable, DBAPIError)):
        await facts.database.write(change)
    assert await facts.read(find_repository, name) is None
    assert await facts.write(ensure_repository, name, 1.0)


async def test_a_failing_change_is_undone_alone(database: Database, name: str) -> None:
    """Changes that come together share a commit where that is cheaper; a failing one takes no other with it."""

    def change(number: int) -> Callable[[Connection], int]:
        def run(connection: Connection) -> int:
            made = ensure_repository(connection, f"{name}/{number}", float(number))
            if number % 3 == 0:
                raise ManifestUnknown
            if number % 3 == 1:
                connection.execute(repositories.insert().values(id=made, name="x", created_at=1.0))
            return made

        return run

    writes = [database.write(change(number)) for number in range(60)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    for number, result in enumerate(results):
        found = await database.read(finding(f"{name}/{number}"))
        if number % 3 == 2:
            assert found == result
        else:
            assert isinstance(result, Exception)
            assert found is None


async def test_changes_take_effect_in_the_order_they_were_asked_for(database: Database, name: str) -> None:
    """Of one asker, each after the one before; of many, each sees all that was answered before it was asked."""
    await database.write(making(name, 0.0))

    def add_one(connection: Connection) -> float:
        mine = repositories.c.name == name
        connection.execute(repositories.update().where(mine).values(created_at=repositories.c.created_at + 1))
        return float(connection.execute(select(repositories.c.created_at).where(mine)).scalar_one())

    async def ask() -> list[float]:
        return [await database.write(add_one) for _ in range(20)]

    seen = await asyncio.gather(*(ask() for _ in range(5)))
    assert all(mine == sorted(mine) for mine in seen)
    assert sorted(number for mine in seen for number in mine) == [float(number) for number in range(1, 101)]


async def test_two_processes_write_at_the_same_time(database: Database, elsewhere: Database, name: str) -> None:
    await database.write(making(name, 0.0))

    def add_one(connection: Connection) -> None:
        mine = repositories.c.name == name
        connection.execute(repositories.update().where(mine).values(created_at=repositories.c.created_at + 1))

    writes = [one.write(add_one) for _ in range(100) for one in (database, elsewhere)]
    made = [one.write(making(f"{name}/{number}")) for number in range(50) for one in (database, elsewhere)]
    await asyncio.gather(*writes, *made)
    count = select(repositories.c.created_at).where(repositories.c.name == name)
    assert await elsewhere.read(lambda connection: connection.execute(count).scalar_one()) == 200.0
    listed = await database.read(lambda connection: list_repositories(connection, f"{name}/", 1000))
    assert len([other for other in listed if other.startswith(f"{name}/")]) == 50


async def test_a_write_that_nobody_waits_for_any_more_harms_nobody(database: Database, name: str) -> None:
    """The client left; its change is done or not done, and those beside it are done."""

    tasks = [asyncio.create_task(database.write(making(f"{name}/{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for number in range(1, 20, 2):
        found = await database.read(finding(f"{name}/{number}"))
        assert found == results[number]
    assert await database.write(making(name))


async def test_reads_and_lookups_go_on_while_something_is_written(database: Database, name: str) -> None:
    await database.write(making(name))

    async def write() -> None:
        for number in range(30):
            await database.write(making(f"{name}/{number}"))

    async def ask() -> None:
        for _ in range(60):
            assert await database.lookup(BY_NAME, name) is not None
            assert await database.read(finding(name)) is not None

    await asyncio.gather(write(), ask(), ask(), write())


async def test_a_lookup_of_nothing_is_none(database: Database, name: str) -> None:
    assert await database.lookup(BY_NAME, name) is None


async def test_a_lookup_says_the_same_as_a_query(database: Database, name: str) -> None:
    """Whatever the order in which its text wants the values."""
    made = await database.write(lambda connection: ensure_repository(connection, name, 77.0))
    statement = select(repositories.c.created_at, repositories.c.name).where(
        repositories.c.created_at == bindparam("at"),
        repositories.c.id == bindparam("id"),
        repositories.c.name == bindparam("name"),
    )
    for order in (("at", "id", "name"), ("name", "at", "id"), ("id", "name", "at")):
        values = {"at": 77.0, "id": made, "name": name}
        row = await database.lookup(Lookup(statement, order), *(values[parameter] for parameter in order))
        assert row is not None
        assert tuple(row) == (77.0, name)


@pytest.mark.parametrize("hostile", ["a'b", 'a"b', "a\\b", "%_", "$1", ":name", "?", "ä€𝄞", "a\nb", "; --", ""])
async def test_any_text_is_a_value_and_no_part_of_a_query(database: Database, name: str, hostile: str) -> None:
    odd = f"{name}{hostile}"
    made = await database.write(making(odd))
    row = await database.lookup(BY_NAME, odd)
    assert row is not None
    assert tuple(row) == (made,)
    assert await database.lookup(BY_NAME, f"{odd}!") is None


async def test_durations_are_told(database_url: str, name: str) -> None:
    told: list[tuple[str, float, int]] = []
    database = open_database(database_url, lambda action, seconds, times=1: told.append((action, seconds, times)))
    await database.start()
    try:
        await database.write(making(name))
        await database.read(finding(name))
        assert [action for action, *_ in told] == ["write", "read"]
        for _ in range(32):
            assert await database.lookup(BY_NAME, name) is not None
    finally:
        await database.close()
    assert {action for action, *_ in told[2:]} == {"lookup"}
    assert sum(times for *_, times in told[2:]) == 32, "each is counted, though not each is timed"
    assert all(0 < seconds < 60 for _, seconds, _ in told)


async def test_commits_pass_their_points(database_url: str, name: str) -> None:
    """The crash tests fail and kill there; a commit that fails is no success for anybody."""
    points: list[str] = []
    failing = threading.Event()

    def probe(point: str) -> None:
        points.append(point)
        if failing.is_set() and point == "commit":
            raise OSError(5, "Input/output error")

    database = open_database(database_url, probe=probe)
    await database.start()
    try:
        await database.write(making(name))
        assert points == ["commit", "commit-done", "log-sync", "log-sync-done"][: 4 if "sqlite" in database_url else 2]
        failing.set()
        writes = [database.write(making(f"{name}/{number}")) for number in range(5)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable] * 5
        failing.clear()
        for number in range(5):
            found = await database.read(finding(f"{name}/{number}"))
            assert found is None
        assert await database.write(making(f"{name}/0"))
    finally:
        await database.close()


async def test_closing_finishes_what_was_asked_for(database_url: str, name: str) -> None:
    database = open_database(database_url)
    await database.start()
    writes = [asyncio.create_task(database.write(making(f"{name}/{number}"))) for number in range(10)]
    await asyncio.gather(*writes)
    await database.close()
    async with opened(database_url) as again:
        listed = await again.read(lambda connection: list_repositories(connection, f"{name}/", 10))
    assert listed == [f"{name}/{number}" for number in range(10)]


@pytest.mark.parametrize("url", ["mysql://host/db", "moorage.db", "", "sqlite:relative"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        open_database(url)


async def test_a_server_that_is_not_there_is_unavailable_and_nothing_else() -> None:
    """503, so that clients try again; never an answer that could be read as "absent"."""
    database = open_database("postgresql://nobody:secret@127.0.0.1:1/none")
    await database.start()
    try:
        with pytest.raises(Unavailable) as read:
            await database.read(finding("a"))
        with pytest.raises(Unavailable):
            await database.write(making("a"))
        with pytest.raises(Unavailable):
            await database.lookup(BY_NAME, "a")
        assert "secret" not in str(read.value)
    finally:
        await database.close()


async def test_a_file_that_is_no_database_is_no_absence(tmp_path: Path) -> None:
    (tmp_path / "moorage.db").write_bytes(b"this is no database" * 1000)
    database = open_database(f"sqlite:///{tmp_path / 'moorage.db'}")
    with pytest.raises(Exception, match="not a database"):
        await database.start()


async def test_sqlite_that_is_held_by_another_program_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup or a shell holds it for too long: 503, and afterwards writing works again."""
    import sqlite3

    from moorage.metadata import sqlite
    from moorage.metadata.migrate import migrate

    url = f"sqlite:///{tmp_path / 'moorage.db'}"
    await asyncio.to_thread(migrate, url)
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with opened(url) as database:
        await database.write(making("before"))
        holder = sqlite3.connect(tmp_path / "moorage.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(RegistryError) as refused:
            await database.write(making("meanwhile"))
        assert refused.value.status == 503
        assert await database.read(finding("before"))
        holder.execute("ROLLBACK")
        holder.close()
        assert await database.write(making("after"))
        count = select(func.count()).select_from(repositories)
        assert await database.read(lambda connection: connection.execute(count).scalar_one()) == 2
