"""Databases for tests, at the schema of this version, made quickly: SQLite by copying a file that was migrated once."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from moorage.metadata.database import Database
from moorage.metadata.factory import open_database
from moorage.metadata.migrate import migrate

T = TypeVar("T")


class SqliteTemplate:
    """An empty database file to copy.

    Args:
        folder: where it lies; it is made at the first use.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "template.db"

    def copy_to(self, path: Path) -> str:
        """A database of its own at `path`; gives its URL."""
        if not self._path.exists():
            migrate(f"sqlite:///{self._path}")
            with sqlite3.connect(self._path) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        shutil.copyfile(self._path, path)
        return f"sqlite:///{path}"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database for the length of an `async with`."""
    database = open_database(url)
    await database.start()
    try:
        yield database
    finally:
        await database.close()


class Facts:
    """A database as tests like to ask it: `await facts.write(query, argument, ...)`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def read(self, query: Callable[..., T], *arguments: object, **options: object) -> T:
        """What a reading query says."""
        return await self.database.read(lambda connection: query(connection, *arguments, **options))

    async def write(self, change: Callable[..., T], *arguments: object, **options: object) -> T:
        """What a change says, once it is durable."""
        return await self.database.write(lambda connection: change(connection, *arguments, **options))
