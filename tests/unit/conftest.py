"""Facts and registries for unit tests: SQLite in a temporary folder, bytes in memory, a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.metadata.database import Database
from tests.support.facts import SqliteTemplate, opened
from tests.support.registry import Registry


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    return SqliteTemplate(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def database(sqlite_template: SqliteTemplate, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(sqlite_template.copy_to(tmp_path / "moorage.db")) as one:
        yield one


@pytest.fixture
def registry(database: Database) -> Registry:
    return Registry(database)
