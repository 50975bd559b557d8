"""From a URL to a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.metadata.factory import open_database, sqlite_path
from moorage.metadata.postgres import PostgresDatabase
from moorage.metadata.sqlite import SqliteDatabase


def test_an_absolute_file() -> None:
    assert sqlite_path("sqlite:////var/lib/moorage/moorage.db") == Path("/var/lib/moorage/moorage.db")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:////tmp/a.db", SqliteDatabase),
        ("postgresql://u:p@h/d", PostgresDatabase),
        ("postgres://u:p@h:5433/d?sslmode=require", PostgresDatabase),
    ],
)
async def test_the_scheme_decides(url: str, kind: type[object]) -> None:
    assert isinstance(open_database(url), kind)


@pytest.mark.parametrize("url", ["", "mysql://h/d", "sqlite://", "postgresql:", "/tmp/a.db", "SQLITE:///a"])
def test_others_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        open_database(url)
