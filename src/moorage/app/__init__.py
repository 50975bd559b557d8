"""The wiring, readable from top to bottom: settings in, one worker's ASGI application out."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from moorage.app.access import access_of
from moorage.app.api import ApiParts, api_door
from moorage.app.audit import login_attempts, watch
from moorage.app.ui import front_door
from moorage.blobs.checked import CheckedBlobs, CheckedUploads
from moorage.blobs.files import Files
from moorage.blobs.watch import StorageWatch
from moorage.core.clock import RandomIds, SystemClock
from moorage.core.errors import RegistryError
from moorage.http.health import Health
from moorage.http.root import Root
from moorage.http.v2.app import DistributionApi
from moorage.http.v2.blobs import Blobs
from moorage.http.v2.listing import Lists
from moorage.http.v2.manifests import Manifests
from moorage.http.v2.routes import Table, table
from moorage.http.v2.spool import Spool
from moorage.http.v2.uploads import UploadSessions
from moorage.metadata.factory import open_database
from moorage.metadata.unsynced import unsynced_content
from moorage.registry.delete import Delete
from moorage.registry.listing import Listing
from moorage.registry.mount import Mount
from moorage.registry.parts import Parts
from moorage.registry.pull import Pull
from moorage.registry.push import Push
from moorage.registry.referrers import Referrers
from moorage.registry.settle import Settling
from moorage.registry.upload import Uploads
from moorage.telemetry.access import AccessLog, descriptor_writer
from moorage.telemetry.heap import trim_heap
from moorage.telemetry.metrics import Metrics
from moorage.telemetry.probe import no_probe
from moorage.telemetry.request_ids import RequestIds
from moorage.upkeep.sweeping import Sweeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from moorage.app.audit import Watch
    from moorage.blobs.ports import BlobStore, Kept, UploadStore
    from moorage.blobs.settings import BlobSettings
    from moorage.config.settings import Settings
    from moorage.http.v2.guard import Guard
    from moorage.telemetry.probe import Probe
    from moorage.upkeep.settings import UploadPurgeSettings

LOG_SECONDS = 0.25
"""How often gathered lines of the access log are written."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the workers of one run of the program share besides the settings.

    Attributes:
        metrics: folder of their counters.
        supervisor: pid of the process that started them; a worker that outlives it ends.
    """

    metrics: Path | None
    supervisor: int


def build(settings: Settings, run: Run, probe: Probe = no_probe) -> Root:
    """One worker's application. To be called in the worker's own process."""
    clock = SystemClock()
    metrics = Metrics(run.metrics)
    executor = ThreadPoolExecutor(settings.blobs.max_threads, thread_name_prefix="storage")
    database = open_database(settings.metadata.url, metrics.observe_database, probe)
    kept = partial(unsynced_content, database) if _is_embedded(settings) else None
    blobs, uploads = _stores(settings, executor, metrics.observe_storage, probe, kept)
    access = AccessLog(settings.log, descriptor_writer(sys.stdout.fileno()), clock)
    settling = Settling(database, blobs, on=_is_embedded(settings))
    sweeper = Sweeper(database, uploads, _purge(settings), settings.events, clock)
    keeper = _Keeper(run.supervisor, [metrics.flush, trim_heap], [access.flush])
    watching = watch(settings, database, clock, metrics)
    who = access_of(settings, database, clock, watching, partial(login_attempts, settings, database, clock, metrics))
    guard = who.guard(watching.journal, settings.http)
    shown = metrics if _shows_metrics(settings) else None
    reader = None if settings.serve.metrics_public else who.metrics_reader(settings.auth, watching.journal)
    health = Health(database, shown, settings.serve.metrics_path, _storage_watch(settings.blobs, executor), reader)
    parts = Parts(database, blobs, uploads, settings.registry, clock, RandomIds(), who.sight, settings.audit.enabled)

    async def startup() -> None:
        await database.start()
        metrics.flush()
        for begin in who.starts:
            await begin()
        keeper.start([sweeper.run, settling.run, *watching.tasks, *who.tasks])

    async def shutdown() -> None:
        await keeper.stop()
        for close in (*who.closes, *watching.closes):
            await close()
        with suppress(RegistryError):  # what is kept is stored after the next start
            await settling.sweep()
        await database.close()
        executor.shutdown(wait=False)
        access.flush()
        metrics.flush()

    api = ApiParts(
        database,
        clock,
        settings.auth,
        settings.htpasswd,
        authenticator=who.authenticator,
        login=who.login,
        local=settings.local,
        passwords=who.passwords,
        attempts=who.attempts,
        limit=watching.requests,
        note=watching.journal.note if watching.journal is not None else None,
        prefix=settings.http.prefix.rstrip("/"),
        certificates=who.certificates,
    )
    return Root(
        DistributionApi(_routes(parts, settling, settings, guard, watching), guard, watching.gate),
        health,
        settings.http,
        metrics=metrics,
        access=access if settings.log.accesslog else None,
        new_id=RequestIds().choose,
        startup=startup,
        shutdown=shutdown,
        quick=_is_quick(settings) and watching.gate is None,
        probe=probe,
        doors=[api_door(api), *who.doors, *([] if settings.local else [front_door(settings.auth, watching.requests)])],
    )


def _is_embedded(settings: Settings) -> bool:
    """The facts are on this machine."""
    return settings.metadata.url.startswith("sqlite")


def _is_quick(settings: Settings) -> bool:
    """Neither PostgreSQL's driver nor what is remembered of htpasswd files and other issuers is for several threads."""
    return _is_embedded(settings) and settings.auth in ("none", "local")


def _shows_metrics(settings: Settings) -> bool:
    """Where another program gives out the tokens, nobody who asks at the public listener is known to be an admin."""
    return settings.serve.metrics_enabled and (settings.auth != "token" or settings.serve.metrics_public)


def _purge(settings: Settings) -> UploadPurgeSettings:
    """Nothing is purged while the operator wants nothing changed."""
    return replace(settings.purge, enabled=False) if settings.registry.readonly else settings.purge


def _routes(parts: Parts, settling: Settling, settings: Settings, guard: Guard | None, watching: Watch) -> Table:
    pull, delete = Pull(parts), Delete(parts)
    folder = str(settings.blobs.root / "uploads") if settings.blobs.driver == "filesystem" else None
    spool = Spool(settings.registry.manifest_limit, folder)
    return table(
        Manifests(pull, Push(parts), delete, spool, watching.pulls),
        Blobs(pull, delete, watching.pulls if settings.audit.blobs else None),
        UploadSessions(Uploads(parts, settling), Mount(parts), guard),
        Lists(Listing(parts), Referrers(parts)),
    )


def _stores(
    settings: Settings,
    executor: ThreadPoolExecutor,
    observe: Callable[[str, float], None],
    probe: Probe,
    kept: Kept | None,
) -> tuple[BlobStore, UploadStore]:
    blobs: BlobStore
    uploads: UploadStore
    if settings.blobs.driver == "inmemory":
        from moorage.blobs.memory import MemoryBlobs, MemoryUploads

        memory = MemoryBlobs()
        blobs, uploads = memory, MemoryUploads(memory)
    else:
        from moorage.blobs.filesystem import FilesystemBlobs
        from moorage.blobs.filesystem_uploads import FilesystemUploads

        files = Files(probe)
        blobs = FilesystemBlobs(settings.blobs.root, executor, files, kept)
        uploads = FilesystemUploads(settings.blobs.root, executor, files)
    return CheckedBlobs(blobs, observe), CheckedUploads(uploads, observe)


def _storage_watch(settings: BlobSettings, executor: ThreadPoolExecutor) -> StorageWatch | None:
    if settings.driver == "inmemory" or not settings.watch.enabled:
        return None
    return StorageWatch(settings.root / "uploads", settings.watch, executor, time.monotonic)


class _Keeper:
    """The tasks that run beside the requests for as long as the worker lives."""

    def __init__(
        self, supervisor: int, each_second: list[Callable[[], None]], each_tick: list[Callable[[], None]]
    ) -> None:
        self._supervisor = supervisor
        self._each_second = each_second
        self._each_tick = each_tick
        self._tasks: list[asyncio.Future[None]] = []

    def start(self, works: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Begin, with `works` that run until they are cancelled; needs the running loop."""
        self._tasks = [asyncio.ensure_future(work()) for work in (self._tick, *works)]

    async def stop(self) -> None:
        """End all tasks and wait for that."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(LOG_SECONDS)
            ticks += 1
            for work in self._each_tick:
                work()
            if ticks % 4 == 0:
                for work in self._each_second:
                    work()
                if os.getppid() != self._supervisor:
                    os._exit(1)  # the supervisor was killed: whoever starts the program again needs the port
