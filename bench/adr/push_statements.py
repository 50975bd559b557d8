"""ADR 0003: what SQLAlchemy's execution costs beside SQLite's own work, for a tag lookup and for a whole push.

    python bench/adr/push_statements.py    prints microseconds of each, twice: through SQLAlchemy, and on the driver

"Through SQLAlchemy" is the very same statements of `moorage.metadata`, written as expressions where they are needed and
executed by `Connection.execute`, as is usual. Commits do not
wait for the disk here; that is what ADR 0004 is about.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from moorage.metadata.blobs import StoredBlob, add_blob, link_blob
from moorage.metadata.manifests import MANIFEST_BY_TAG, NewManifest, add_manifest
from moorage.metadata.migrate import migrate
from moorage.metadata.prepared import Prepared
from moorage.metadata.repositories import ensure_repository
from moorage.metadata.sqlite import SqliteDatabase
from moorage.metadata.tags import point_tag

BATCHES, BATCH = 40, 16
LOOKUPS = 5000


def push(connection: Connection, number: int) -> None:
    """Repository, manifest, tag, blob and link of one push."""
    digest = f"sha256:{number:064x}"
    repository = ensure_repository(connection, f"team/app{number % 10}", 1.0)
    manifest = NewManifest(digest, "application/x", "", None, None, b"{}" * 200, ())
    stored = add_manifest(connection, repository, manifest, "", 1.0)
    point_tag(connection, repository, f"t{number}", stored, 1.0)
    add_blob(connection, StoredBlob(digest, 1, "x"), 1.0)
    link_blob(connection, repository, digest, 1.0)


def through_sqlalchemy(self: Any, connection: Connection, values: tuple[object, ...]) -> Any:
    """In place of `Prepared._on_sqlite`: the same statement as an expression, written and executed each time."""
    return connection.execute(self._build(sqlite_insert), dict(zip(self._parameters, values, strict=True)))


async def pushes(database: SqliteDatabase, first: int) -> float:
    """Seconds of one push, in batches that share a commit."""

    def batch(start: int) -> Callable[[Connection], None]:
        def change(connection: Connection) -> None:
            for step in range(BATCH):
                push(connection, start + step)

        return change

    await database.write(batch(first), durable=False)
    begun = time.perf_counter()
    for count in range(1, BATCHES + 1):
        await database.write(batch(first + count * BATCH), durable=False)
    return (time.perf_counter() - begun) / BATCHES / BATCH


async def lookups(look: Callable[[], Any]) -> float:
    """Seconds of one lookup of a tag, the asynchronous call included."""
    assert await look() is not None
    begun = time.perf_counter()
    for _ in range(LOOKUPS):
        await look()
    return (time.perf_counter() - begun) / LOOKUPS


async def measure(path: Path) -> None:
    """Print the four numbers."""
    migrate(f"sqlite:///{path}")
    database = SqliteDatabase(path)
    await database.start()
    ours = await pushes(database, 0)
    on_driver = await lookups(lambda: database.lookup(MANIFEST_BY_TAG, "team/app1", "t1"))
    statement = MANIFEST_BY_TAG._statement.where(bindparam("one", 1) == 1)  # noqa: SLF001 - compiled anew by SQLAlchemy
    values = {"name": "team/app1", "tag": "t1"}
    usual = await lookups(lambda: database.read(lambda connection: connection.execute(statement, values).first()))
    Prepared._on_sqlite = through_sqlalchemy  # type: ignore[method-assign]  # noqa: SLF001 - the other way, for once
    theirs = await pushes(database, 1_000_000)
    await database.close()
    print(f"tag lookup: {usual * 1e6:.1f} us through SQLAlchemy, {on_driver * 1e6:.1f} us on the driver")
    print(f"a push, in batches of {BATCH}: {theirs * 1e6:.0f} us through SQLAlchemy, {ours * 1e6:.0f} us on the driver")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder) / "moorage.db"))
