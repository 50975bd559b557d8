"""`/healthz` (alive), `/readyz` (can serve), `/metrics`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import text

from moorage.blobs.patient import Patient
from moorage.core.errors import RegistryError
from moorage.http.response import Response
from moorage.metadata.uploads import count_uploads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection

    from moorage.blobs.watch import StorageWatch
    from moorage.http.metrics_access import MetricsAccess
    from moorage.http.request import Request
    from moorage.http.response import Header
    from moorage.metadata.database import Database
    from moorage.telemetry.metrics import Metrics

ASK_SECONDS = 2.0
"""That the database may take for what is asked here: whoever watches must not wait for what is being watched."""

_PLAIN: Header = (b"content-type", b"text/plain; charset=utf-8")
_LATER: Header = (b"retry-after", b"1")
_EXPOSITION: Header = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class Health:
    """Answers about the program itself.

    Args:
        metrics: None where the operator switched them off.
        metrics_path: where they are served.
        reader: who may read them; None: everybody.
        storage: looks after the storage; None where there is nothing to look at, or the operator wants none of it.
    """

    def __init__(
        self,
        database: Database,
        metrics: Metrics | None,
        metrics_path: str,
        storage: StorageWatch | None = None,
        reader: MetricsAccess | None = None,
    ) -> None:
        self._reader = reader
        self._asked = Patient(partial(database.read, _ask))
        self._uploads = Patient(partial(database.read, count_uploads))
        self._storage = storage
        self._metrics = metrics
        self._answers: dict[str, Callable[[Request], Awaitable[Response]]] = {}
        self._answers.update({"/healthz": self._alive, "/readyz": self._ready})
        if metrics is not None:
            self._answers[metrics_path] = self._count

    def knows(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path in self._answers

    async def answer(self, request: Request) -> Response:
        """The answer to a GET.

        Raises:
            Unauthorized, Denied, TooManyRequests: the metrics are not for whoever asks.
        """
        return await self._answers[request.path](request)

    async def _alive(self, _request: Request) -> Response:
        return Response(200, [_PLAIN], b"ok\n")

    async def _ready(self, _request: Request) -> Response:
        try:
            await self._asked.answer(ASK_SECONDS)
        except (RegistryError, TimeoutError):
            return Response(503, [_PLAIN, _LATER], b"the database does not answer\n")
        if self._storage is not None and not await self._storage.is_there():
            return Response(503, [_PLAIN, _LATER], b"the storage is not there\n")
        return Response(200, [_PLAIN], b"ok\n")

    async def _count(self, request: Request) -> Response:
        if self._metrics is None:
            return Response(404, [_PLAIN], b"")
        if self._reader is not None:
            await self._reader.check(request)
        with suppress(RegistryError, TimeoutError):
            self._metrics.set_gauge("uploads_open", await self._uploads.answer(ASK_SECONDS))
        return Response(200, [_EXPOSITION], await asyncio.to_thread(self._metrics.render))


def _ask(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
