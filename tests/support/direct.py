"""Statements straight to a server's database, past the server: what a test needs to be there, and what it looks up."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from moorage.metadata.tables_access import users

TABLES = users.metadata.tables
"""All tables, by name."""

Rows = list[tuple[Any, ...]]

_INSERT = re.compile(r"\s*INSERT INTO (\w+)", re.IGNORECASE)


def run(url: str, statement: str, *values: object) -> int:
    """Change something; the id of the row that was added, where the table has ids.

    Args:
        url: `sqlite:///FILE` or `postgresql://...`.
        statement: SQL that both understand, with `?` for each value.
        values: in their order.
    """
    added = _INSERT.match(statement)
    if added and added[1] in TABLES and "id" in TABLES[added[1]].c:
        statement += " RETURNING id"
    found = rows(url, statement, *values)
    return int(found[0][0]) if found else 0


def rows(url: str, statement: str, *values: object) -> Rows:
    """What a statement gives."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")), timeout=30)) as connection, connection:
            connection.execute("PRAGMA foreign_keys=ON")
            return connection.execute(statement, values).fetchall()
    numbers = count(1)
    return asyncio.run(_ask_postgres(url, re.sub(r"\?", lambda _: f"${next(numbers)}", statement), values))


async def _ask_postgres(url: str, statement: str, values: tuple[object, ...]) -> Rows:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()
