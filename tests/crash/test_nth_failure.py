"""The N-th system call of every operation fails, for N = 1, 2, ... until the operation passes fewer than N.

Each time: the answer is a refusal that a client understands (or the success that it was), what was there before is
still there, the client's next attempt succeeds, and nothing is left behind that the purge does not find.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from moorage.blobs.checked import CheckedUploads
from moorage.blobs.files import Files
from moorage.blobs.filesystem_uploads import FilesystemUploads
from moorage.core.clock import SystemClock
from moorage.core.errors import RegistryError
from moorage.metadata.migrate import migrate
from moorage.metadata.sqlite import SqliteDatabase
from moorage.metadata.uploads import UploadRow, add_upload, count_uploads
from moorage.upkeep.settings import EventSettings, UploadPurgeSettings
from moorage.upkeep.sweeping import Sweeper
from tests.crash.checker import check, sqlite_facts
from tests.crash.client import Answer, Client, NoAnswer, content
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server
from tests.crash.operations import OPERATIONS, Operation, Patch, PostSmall, PostWhole, PutEmpty, PutRest, Upload
from tests.crash.plan import Action, Armed, Plan

MOST = 60
"""No operation passes so many points; a loop that gets here has not ended by itself."""


def fail_once(server: Server, client: Client, operation: Operation, nth: int, error: int) -> bool:
    """Run one case; False where the operation passed fewer than `nth` points."""
    operation.prepare(client)
    server.arm(Armed(Action.FAIL, nth=nth, error=error))
    answer = operation.act(client)
    fired = server.plan.disarm()
    passed = server.plan.passed()
    what = f"{operation.repository}, {passed}"
    seen = operation.seen(client)
    if answer.status == operation.success:
        assert seen == operation.done(), what
        return fired
    assert fired, (what, answer)
    assert answer.is_refusal(), (what, answer)
    assert answer.status == (507 if error == errno.ENOSPC else 503), (what, answer)
    if passed.count("log-sync") > passed.count("log-sync-done") and seen == operation.done():
        return True  # committed in whole, and not said to be: only the disk knows whether a loss of power undoes it
    assert operation.is_undone(seen), (what, seen)
    operation.again(client)
    # An upload that was gone on with ends as a blob, whatever part of it the operation was.
    finished = [(operation.data, None)] if isinstance(operation, Upload) else []
    assert operation.seen(client) in (operation.done(), *finished), what
    return True


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.name)
def test_every_call_of_an_operation_fails_once(server: Server, kind: type[Operation], error: int) -> None:
    client = server.client()
    held = server.descriptors()
    for nth in count(1):
        assert nth < MOST
        if not fail_once(server, client, kind(nth), nth, error):
            break
    assert nth > 1, "no call was made to fail"
    client.close()
    server.wait_for_descriptors(held)
    server.stop()
    assert check(server.root) == []


def fail(server: Server, point: str, nth: int = 1) -> None:
    server.arm(Armed(Action.FAIL, point, nth))


@pytest.mark.parametrize("kind", [Patch, PutRest], ids=lambda kind: kind.name)
def test_bytes_whose_sync_failed_are_not_counted(server: Server, kind: type[Upload]) -> None:
    """The kernel reports a failed write-back once; a second fsync would say yes to bytes that are lost."""
    client = server.client()
    operation = kind(1)
    operation.prepare(client)
    fail(server, "fsync")
    assert operation.act(client).is_refusal()
    assert client.session_size(operation.session) in (operation.first, None)
    operation.again(client)
    assert client.blob(operation.repository, operation.digest) == operation.data


def test_an_upload_whose_last_sync_failed_is_sent_again(server: Server) -> None:
    client = server.client()
    put = PutEmpty(1)
    put.prepare(client)
    fail(server, "fsync")
    assert put.act(client).is_refusal()
    assert client.session_size(put.session) is None
    assert client.finish(put.session, put.digest).status == 404
    put.again(client)
    assert client.blob(put.repository, put.digest) == put.data


@pytest.mark.parametrize(
    ("kind", "point"),
    [(PostWhole, "write"), (PostWhole, "fsync"), (PostWhole, "rename"), (PostWhole, "commit"), (PostSmall, "commit")],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_refused_monolithic_push_keeps_nothing(
    make_server: MakeServer, memory: Path, point: str, kind: type[Upload]
) -> None:
    """The client never heard of a session that it could go on with or cancel."""
    server = make_server(root=memory / "root")
    client = server.client()
    post = kind(1)
    fail(server, point)
    assert post.act(client).is_refusal()
    server.plan.disarm()
    assert list((server.root / "uploads").iterdir()) == []
    facts = sqlite_facts(server.root / "moorage.db")
    assert facts["uploads"] == facts["unsynced_blobs"] == []


@pytest.mark.parametrize("killed", [False, True], ids=["refused", "killed"])
def test_other_bytes_never_take_the_place_of_remembered_ones(server: Server, killed: bool) -> None:
    """The row knows the digest of bytes that were sealed while the commit failed; others of the same length come."""
    action = Action.KILL_ALL if killed else Action.FAIL
    client = server.client()
    put = PutEmpty(1)
    put.prepare(client)
    other = content("other", put.size)

    server.arm(Armed(action, "commit"))
    client = _survive(server, client, lambda: put.act(client))
    server.arm(Armed(action, "commit"))
    client = _survive(server, client, lambda: client.patch(put.session, 0, other))
    server.plan.disarm()
    refused = client.finish(put.session, put.digest)
    assert refused.status in (400, 404), refused
    assert client.blob(put.repository, put.digest) is None
    client.push_blob(put.repository, put.data)
    assert client.blob(put.repository, put.digest) == put.data
    server.stop()
    assert check(server.root) == []


def _survive(server: Server, client: Client, act: Callable[[], Answer]) -> Client:
    """Do what ends in a refusal or a killed server; returns a client of the server that runs then."""
    try:
        answer = act()
    except NoAnswer:
        server.restart()
        return server.client()
    assert answer.status != 201
    return client


@dataclass
class Purge:
    """Two abandoned sessions, a file without a session, and what purges them, all in this process."""

    database: SqliteDatabase
    folder: Path
    sweeper: Sweeper
    keys: list[str]

    async def fill(self) -> None:
        for key in self.keys:
            (self.folder / key).write_bytes(b"abandoned")
            os.utime(self.folder / key, (1, 1))
        for key in self.keys[:2]:
            row = UploadRow(key, "purge/r", "sha256", 9)
            await self.database.write(lambda connection, row=row: add_upload(connection, row, 1.0))  # type: ignore[misc]

    async def left(self) -> tuple[int, list[str]]:
        return await self.database.read(count_uploads), sorted(file.name for file in self.folder.iterdir())


@asynccontextmanager
async def purging(root: Path, plan: Plan) -> AsyncIterator[Purge]:
    (root / "uploads").mkdir(parents=True)
    migrate(f"sqlite:///{root}/moorage.db")
    database = SqliteDatabase(root / "moorage.db", probe=plan)
    await database.start()
    with ThreadPoolExecutor(2) as executor:
        uploads = CheckedUploads(FilesystemUploads(root, executor, Files(plan)))
        sweeper = Sweeper(database, uploads, UploadPurgeSettings(age_seconds=1), EventSettings(), SystemClock())
        yield Purge(database, root / "uploads", sweeper, [str(uuid.UUID(int=number)) for number in (1, 2, 3)])
    await database.close()


async def test_every_call_of_a_purge_fails_once(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "plan")
    async with purging(tmp_path / "root", plan) as purge:
        for nth in count(1):
            await purge.fill()
            plan.arm(Armed(Action.FAIL, nth=nth))
            with suppress(RegistryError):
                await purge.sweeper.purge_uploads()
            fired = plan.disarm()
            if not fired:
                break
            rows, files = await purge.left()
            assert len(files) >= rows, "a session is there without its bytes"
            await purge.sweeper.purge_uploads()
            assert await purge.left() == (0, [])
        assert nth > 5
        assert await purge.left() == (0, [])
    plan.close()
