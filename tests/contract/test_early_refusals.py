"""Where no push may make a repository, an upload is refused before anything is sent; what is there costs no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from moorage.accounts.projects import ProjectChange, Projects
from moorage.core.errors import Denied
from moorage.metadata import repositories as queries
from moorage.metadata.database import Database
from moorage.metadata.repositories import ensure_repository
from moorage.metadata.tables import uploads
from moorage.registry import upload as use_case
from tests.support.accounts import ADMIN_CALLER, HeldClock, unique
from tests.support.facts import Facts
from tests.support.registry import ALICE, Registry

NOW = 1_000_000.0


@pytest.fixture
def team() -> str:
    return unique("team")


@pytest.fixture
def making(database: Database) -> Projects:
    return Projects(database, HeldClock(NOW))


@pytest.fixture(autouse=True)
async def no_uploads(database: Database) -> None:
    """Each registry of a test counts its sessions from 1."""
    await database.write(lambda connection: connection.execute(uploads.delete()))


@contextmanager
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names for which it was asked whether a push may make them."""
    names: list[str] = []

    def check(connection: Connection, name: str) -> None:
        names.append(name)
        queries.check_makeable(connection, name)

    with monkeypatch.context() as patched:
        patched.setattr(use_case, "check_makeable", check)
        yield names


async def test_session_for_a_repository_that_no_push_may_make(database: Database, making: Projects, team: str) -> None:
    project = await making.create(ADMIN_CALLER, team, create_on_push="no")
    registry = Registry(database)
    with pytest.raises(Denied, match="create_on_push"):
        await registry.uploads.begin(f"{team}/app", ALICE)
    with pytest.raises(Denied):
        await registry.uploads.begin(f"{team}/deep/er/app", ALICE)
    await making.change(ADMIN_CALLER, project.id, ProjectChange(create_on_push="repositories"))
    assert (await registry.uploads.begin(f"{team}/app", ALICE)).content == b""


async def test_session_for_a_repository_that_is_there(database: Database, making: Projects, team: str) -> None:
    await Facts(database).write(ensure_repository, f"{team}/old", NOW)
    await making.create(ADMIN_CALLER, team, create_on_push="no")
    registry = Registry(database)
    upload = await registry.uploads.begin(f"{team}/old", ALICE)
    assert await registry.uploads.status(f"{team}/old", upload.id) == 0


async def test_what_is_there_is_not_asked_about(database: Database, team: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await Facts(database).write(ensure_repository, f"{team}/old", NOW)
    registry = Registry(database)
    with asked(monkeypatch) as names:
        await registry.uploads.begin(f"{team}/old", ALICE)
        assert names == []
        await registry.uploads.begin(f"{team}/new", ALICE)
        assert names == [f"{team}/new"]
