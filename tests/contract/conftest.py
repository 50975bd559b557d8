"""Each database that the facts may live in; a test that asks for one of these fixtures runs on all of them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import delete

from moorage.accounts.grants import Grants
from moorage.accounts.projects import Projects
from moorage.auth.slow_checks import password_executor
from moorage.metadata.database import Database
from moorage.metadata.repositories import ensure_repository
from moorage.metadata.tables_access import signing_keys
from tests.support.accounts import HeldClock, unique
from tests.support.facts import Facts, SqliteTemplate, opened
from tests.support.logins import World
from tests.support.postgres import PostgresCluster

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    return SqliteTemplate(tmp_path_factory.mktemp("template"))


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'moorage.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="module", params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database at the newest schema that the tests of a file share: each works in repositories of its own."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            template: SqliteTemplate = request.getfixturevalue("sqlite_template")
            yield template.copy_to(tmp_path_factory.mktemp("facts") / "moorage.db")
        else:
            cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
            yield stack.enter_context(cluster.database(migrated=True))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as one:
        yield one


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[Database]:
    """The same database, opened by another process."""
    async with opened(database_url) as other:
        yield other


@pytest.fixture
def facts(database: Database) -> Facts:
    return Facts(database)


@pytest.fixture
def making(database: Database) -> Projects:
    """The projects, at the time of a held clock that nobody sets."""
    return Projects(database, HeldClock())


@pytest.fixture
def granting(database: Database) -> Grants:
    """The grants, at the same time."""
    return Grants(database, HeldClock())


@pytest.fixture
def team() -> str:
    """A project that no other test has."""
    return unique("team")


@pytest.fixture
def name() -> str:
    """A repository that no other test knows."""
    return f"test-{uuid.uuid4().hex}/app"


@pytest.fixture
async def repository(facts: Facts, name: str) -> int:
    return await facts.write(ensure_repository, name, 1.0)


@pytest.fixture
def password_threads() -> Iterator[ThreadPoolExecutor]:
    with password_executor(2) as executor:
        yield executor


@pytest.fixture
async def world(database: Database, password_threads: ThreadPoolExecutor) -> World:
    """A worker's login chain, with a signing key of its own."""
    await database.write(lambda connection: connection.execute(delete(signing_keys)))
    made = World(database, password_threads)
    await made.keys.load()
    return made
