"""ADR 0004: what a commit costs that waits for the disk, that does not, and that many writes share.

python bench/adr/commits.py [FOLDER]   FOLDER must be on a real disk; prints microseconds a write
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from moorage.metadata.migrate import migrate
from moorage.metadata.sqlite import SqliteDatabase
from moorage.metadata.uploads import UploadRow, add_upload

WRITES = 512


async def writes(database: SqliteDatabase, at_once: int, *, durable: bool) -> float:
    """Seconds of one write of an upload row with so many under way at the same time."""
    keys = iter(range(10**9))

    async def one() -> None:
        row = UploadRow(f"{time.time_ns()}-{next(keys)}", "team/app", "sha256")
        await database.write(lambda connection: add_upload(connection, row, 1.0), durable=durable)

    begun = time.perf_counter()
    for _ in range(WRITES // at_once):
        await asyncio.gather(*(one() for _ in range(at_once)))
    return (time.perf_counter() - begun) / WRITES


async def measure(path: Path) -> None:
    """Print a line for each way."""
    migrate(f"sqlite:///{path}")
    database = SqliteDatabase(path)
    await database.start()
    for durable in (True, False):
        for at_once in (1, 8, 32):
            seconds = await writes(database, at_once, durable=durable)
            print(f"{'FULL' if durable else 'NORMAL':>6}, {at_once:2} at once: {seconds * 1e6:7.0f} us a write")
    await database.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        asyncio.run(measure(Path(folder) / "moorage.db"))
