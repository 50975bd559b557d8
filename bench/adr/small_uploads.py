"""What a small blob costs, with its bytes in the session's row and with a file of its own (docs/adr/0013).

python bench/adr/small_uploads.py FOLDER

on the disk of FOLDER: blobs of 2 kB in the three steps of docker (begin, append, finish), by several pushers at once in
one process. Milliseconds of CPU and of waiting for each blob, and blobs a second.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.filesystem_uploads import FilesystemUploads
from moorage.core.access import ANONYMOUS, Caller
from moorage.core.clock import RandomIds, SystemClock
from moorage.core.digest import digest_of
from moorage.metadata.factory import open_database
from moorage.metadata.migrate import migrate
from moorage.registry import upload
from moorage.registry.chunk import Chunk
from moorage.registry.parts import Parts
from moorage.registry.settings import RegistrySettings
from moorage.registry.settle import Settling
from moorage.registry.sight import OpenSight
from moorage.registry.upload import Uploads

SIZE, BLOBS, ROUNDS = 2000, 1200, 3


async def body(data: bytes) -> AsyncIterator[bytes]:
    """A request's body that comes in one piece."""
    yield data


async def push(uploads: Uploads, caller: Caller, name: str, count: int) -> None:
    """Blobs one after the other."""
    for _ in range(count):
        data = os.urandom(SIZE)
        session = await uploads.begin(name, caller)
        await uploads.append(name, session.id, Chunk(body(data)))
        await uploads.finish(name, session.id, digest_of(data), None, caller)


async def measure(folder: Path, pushers: int) -> tuple[float, float, float]:
    """Milliseconds of CPU for a blob, milliseconds that its pusher waits, blobs a second."""
    root = folder / str(uuid.uuid4())
    (root / "uploads").mkdir(parents=True)
    url = f"sqlite:///{root}/moorage.db"
    migrate(url)
    database = open_database(url)
    await database.start()
    with ThreadPoolExecutor(16) as executor:
        blobs, files = FilesystemBlobs(root, executor), FilesystemUploads(root, executor)
        sight = OpenSight(database)
        parts = Parts(database, blobs, files, RegistrySettings(), SystemClock(), RandomIds(), sight)
        uploads = Uploads(parts, Settling(database, blobs, on=False))
        await push(uploads, Caller(ANONYMOUS), "warm/up", 50)
        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(
            *(push(uploads, Caller(ANONYMOUS), f"r/{each}", BLOBS // pushers) for each in range(pushers))
        )
        took, used = time.perf_counter() - begun, time.process_time() - cpu
    await database.close()
    shutil.rmtree(root)
    return used / BLOBS * 1e3, took / BLOBS * pushers * 1e3, BLOBS / took


def main() -> None:
    """Print the table."""
    folder, small = Path(sys.argv[1]), upload.SMALL
    sys.stdout.write("bytes in      pushers   CPU ms   wait ms   blobs/s\n")
    for pushers in (1, 4):
        found: dict[str, list[tuple[float, float, float]]] = {"a file": [], "the row": []}
        for _ in range(ROUNDS):
            for name, limit in (("a file", -1), ("the row", small)):
                upload.SMALL = limit
                found[name].append(asyncio.run(measure(folder, pushers)))
        for name, values in found.items():
            cpu, wait, rate = (sorted(column)[ROUNDS // 2] for column in zip(*values, strict=True))
            sys.stdout.write(f"{name:12} {pushers:8} {cpu:8.2f} {wait:9.2f} {rate:9.0f}\n")


if __name__ == "__main__":
    main()
