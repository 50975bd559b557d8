"""The schema: what the migrations make is what the tables say, and a newer one is left alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text

from moorage.metadata import migrate as migrations
from moorage.metadata import tables_access  # noqa: F401 - its tables belong to the same schema
from moorage.metadata.migrate import HEAD, SchemaTooNew, migrate
from moorage.metadata.repositories import ensure_repository, find_repository
from moorage.metadata.tables import metadata
from tests.support.facts import Facts, opened


def ask(url: str, query: Callable[[Connection], Any]) -> Any:
    async def run() -> Any:
        async with opened(url) as database:
            return await database.write(query)

    return asyncio.run(run())


def revision(connection: Connection) -> str:
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


def test_migrations_make_what_the_tables_say(empty_url: str) -> None:
    migrate(empty_url)
    assert ask(empty_url, differences) == []


def test_the_comparison_would_see_a_difference(empty_url: str) -> None:
    migrate(empty_url)
    ask(empty_url, lambda connection: connection.execute(text("ALTER TABLE tags ADD COLUMN extra INTEGER")))
    ask(empty_url, lambda connection: connection.execute(text("DROP INDEX ix_blob_links_digest")))
    kinds = {difference[0] for difference in ask(empty_url, differences)}
    assert kinds == {"remove_column", "add_index"}


def test_collations_and_kinds_of_tables(empty_url: str) -> None:
    """What the comparison of Alembic does not see."""
    migrate(empty_url)

    def shapes(connection: Connection) -> set[str]:
        if connection.dialect.name == "sqlite":
            rows = connection.execute(text("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'"))
            return {str(row[0]) for row in rows}
        columns = text(
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE collation_name = 'C' AND table_schema = 'public'"
        )
        return {str(row[0]) for row in connection.execute(columns)}

    found = ask(empty_url, shapes)
    if empty_url.startswith("sqlite"):
        assert found == {
            table.name for table in metadata.sorted_tables if not table.dialect_options["sqlite"]["with_rowid"]
        }
        assert "tags" in found
    else:
        assert {"tags.name", "repositories.name", "blobs.digest", "manifests.digest"} <= found
        expected = {
            f"{table.name}.{column.name}"
            for table in metadata.sorted_tables
            for column in table.columns
            if getattr(column.type.dialect_impl(_postgres_dialect()), "collation", None) == "C"
        }
        assert found == expected


def _postgres_dialect() -> Any:
    from sqlalchemy.dialects import postgresql

    return postgresql.dialect()  # type: ignore[no-untyped-call]


def test_a_database_is_brought_to_the_newest_revision_once(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(empty_url)
    assert ask(empty_url, revision) == HEAD
    ask(empty_url, lambda connection: ensure_repository(connection, "kept", 1.0))
    migrate(empty_url)
    assert ask(empty_url, lambda connection: find_repository(connection, "kept"))


def test_the_newest_revision_is_the_one_the_program_thinks() -> None:
    folder = Path(migrations.__file__).parent / "migrations"
    script = ScriptDirectory(str(folder))
    assert script.get_heads() == [HEAD]
    assert max(one.revision for one in script.walk_revisions()) == HEAD, "the comparison with newer ones is by text"


def test_a_newer_schema_is_refused_and_left_alone(empty_url: str) -> None:
    migrate(empty_url)
    ask(empty_url, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(SchemaTooNew, match=rf"revision 9999, this version of Moorage knows {HEAD}"):
        migrate(empty_url)
    assert ask(empty_url, revision) == "9999"
    assert ask(empty_url, differences) == []


def test_a_migration_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All revisions or none, so that the start after the next one begins from a known state."""
    from alembic import op

    made: list[str] = []
    create = op.create_table

    def failing(name: str, *arguments: Any, **options: Any) -> Any:
        made.append(name)
        if name == "blob_links":
            raise ZeroDivisionError
        return create(name, *arguments, **options)

    monkeypatch.setattr(op, "create_table", failing)
    with pytest.raises(ZeroDivisionError):
        migrate(empty_url)
    assert "repositories" in made
    assert ask(empty_url, lambda connection: inspect(connection).get_table_names()) in ([], ["alembic_version"])
    monkeypatch.undo()
    migrate(empty_url)
    assert ask(empty_url, differences) == []


def test_trust_rules_outlive_the_table_that_takes_their_place(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0003"))
    migrate(empty_url)
    monkeypatch.undo()
    robot = "(1, '+ci', '', false, 0, 1, '', 1)"
    rule = "(7, 'rule', 1, 'https://ci', 'a', '[]', true, 1, 'alice', 3)"
    columns = "id, name, robot_id, issuer, audience, conditions, disabled, created_at, created_by, version"
    for statement in (
        f"INSERT INTO robots (id, name, description, disabled, epoch, created_at, created_by, version) VALUES {robot}",
        f"INSERT INTO trust_rules ({columns}) VALUES {rule}",
    ):
        ask(empty_url, lambda connection, sent=statement: connection.execute(text(sent)))  # type: ignore[misc]
    migrate(empty_url)
    [found] = ask(empty_url, lambda connection: connection.execute(text("SELECT * FROM trust_rules")).all())
    assert tuple(found) == (7, "rule", 1, "https://ci", "a", "[]", True, 1.0, "alice", None, 3)


def test_many_that_start_at_once(empty_url: str) -> None:
    """Instances that are started together migrate one after the other; none fails."""
    failures: list[BaseException] = []

    def start() -> None:
        try:
            migrate(empty_url)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ask(empty_url, revision) == HEAD


async def test_deleting_a_repository_takes_what_is_its_own(facts: Facts, name: str, repository: int) -> None:
    from moorage.core.digest import digest_of
    from moorage.metadata.manifests import NewManifest, add_manifest
    from moorage.metadata.tables import manifests, repositories, tag_history, tags
    from moorage.metadata.tags import point_tag, record_move, remove_tag

    new = NewManifest(digest_of(b"m"), "t/t", "", None, None, b"m", (("config", digest_of(b"c")),))
    key = await facts.write(add_manifest, repository, new, "", 1.0)
    await facts.write(point_tag, repository, "v1", key, 1.0)
    await facts.write(record_move, repository, "v1", digest=new.digest, previous=None, actor="", now=1.0)
    await facts.write(remove_tag, repository, "v1")
    await facts.database.write(
        lambda connection: connection.execute(repositories.delete().where(repositories.c.id == repository))
    )
    for table in (manifests, tag_history, tags):
        rows = select(table).where(table.c.repository_id == repository)
        assert await facts.database.read(lambda connection, q=rows: connection.execute(q).all()) == []  # type: ignore[misc]
