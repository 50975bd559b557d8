"""Bringing a database to the schema of this version (Alembic), once, before the workers start."""

from __future__ import annotations

import asyncio
import fcntl
import os
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import StaticPool

from moorage.metadata.factory import SQLITE, sqlite_path

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

HEAD = "0008"
"""The newest revision in `migrations/versions`; a test says so."""

_ADVISORY_LOCK = 0x6D6F6F72
"""Instances that start together migrate one after the other."""


class SchemaTooNew(RuntimeError):
    """The database was written by a newer version of this program."""


def migrate(url: str) -> None:
    """Bring the database at `url` to revision `HEAD`; nothing is loaded or written where it is there already.

    Raises:
        SchemaTooNew: the database is at a revision that this version does not know.
    """
    if url.startswith(SQLITE):
        _migrate_sqlite(sqlite_path(url))
    else:
        asyncio.run(_migrate_postgres(url))


def _migrate_sqlite(path: Path) -> None:
    from moorage.metadata.sqlite import open_connection

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    raw = open_connection(path)
    try:
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            raw.execute("BEGIN IMMEDIATE")  # not before: to connect sets `isolation_level`, and that commits
            bring_to_head(connection)
            if raw.in_transaction:  # Alembic commits by itself what it changed
                raw.execute("COMMIT")
    finally:
        raw.close()
        os.close(lock)


async def _migrate_postgres(url: str) -> None:
    from moorage.metadata.postgres import engine

    database = engine(url)
    try:
        async with database.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            await connection.run_sync(bring_to_head)
    finally:
        await database.dispose()


def bring_to_head(connection: Connection) -> None:
    """Run the revisions that are missing, inside the transaction that the caller has begun."""
    current = _current(connection)
    if current == HEAD:
        return
    if current is not None and current > HEAD:
        raise SchemaTooNew(
            f"The database is at schema revision {current}, this version of Moorage knows {HEAD}: "
            "start the newer version that wrote it, or restore a backup from before."
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "moorage.metadata:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found
