"""Granian's supervisor of workers, as this program needs it."""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING, Any

from granian.server.mp import MPServer

from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

ENDED_SECONDS = 0.01
"""How often workers that are told to end are looked at."""

STEADY_SECONDS = 60.0
"""A worker that lived so long did not fall because of how it was started."""

LONGEST_PAUSE = 30.0
"""Seconds between the fall of a worker that falls again and again and its next start."""

_log = logger("moorage")


class Ready:
    """Whether any worker ever served: a byte of memory that all processes share. To be made before they are forked."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 1)

    def tell(self) -> None:
        """A worker serves."""
        self._page[0] = 1

    def __bool__(self) -> bool:
        return self._page[0] == 1


class Server(MPServer):
    """Granian's, with three differences.

    It does not take a worker that is just ending for one that refuses to: a worker's pipe closes a moment before its
    status can be read; on a busy machine Granian looks in between, says in the log that it kills the worker, and does.

    It follows symbolic links again for each worker: where they lead once and for all, as Granian takes it, is where
    the old certificate was, or nothing at all any more (Secrets of Kubernetes, certbot).

    And it does not end because one worker fell twice in a row: the others serve. That one is started again after a
    pause, longer each time. Only where no worker ever served, a second fall of one ends the program, with status 1:
    what is wrong then is wrong with how it was started.

    Args:
        ready: told by the workers.
    """

    def __init__(self, *args: Any, ready: Ready, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ready = ready
        self._falls: dict[int, int] = {}

    def build_ssl_context(self, cert: Path | None, key: Path | None, *more: Any) -> None:
        super().build_ssl_context(cert, key, *more)
        if cert is not None and key is not None:
            on, _, _, *rest = self.ssl_ctx
            self.ssl_ctx: Any = (on, str(cert.absolute()), str(key.absolute()), *rest)

    def _stop_workers(self) -> None:
        workers: list[Any] = self.wrks
        for worker in workers:
            worker.terminate()
        until = time.monotonic() + (self.workers_kill_timeout or 0)
        while any(worker.is_alive() for worker in workers) and time.monotonic() < until:
            time.sleep(ENDED_SECONDS)
        super()._stop_workers()  # type: ignore[no-untyped-call]

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        due: dict[int, float] = {}
        while not self.interrupt_signal:
            if not self.interrupt_children:
                self.main_loop_interrupt.wait(_seconds_to(due))
            self.main_loop_interrupt.clear()
            if not self._take_fallen(due):
                return
            if self.reload_signal:
                due.clear()
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
            for worker in [worker for worker, at in due.items() if at <= time.monotonic()]:
                del due[worker]
                self._respawn_workers([worker], spawn_target, target_loader)

    def _take_fallen(self, due: dict[int, float]) -> bool:
        """Say when those that fell start again; False where the program is to end."""
        while self.interrupt_children:
            worker = self.interrupt_children.pop()
            now = time.monotonic()
            if now - self.wrks[worker].birth > STEADY_SECONDS:
                self._falls.pop(worker, None)
            before = self._falls.get(worker, 0)
            if before and not self._ready:
                self.interrupt_children.append(worker)  # from which `shutdown` takes the status
                _log.error("no worker can be started; moorage ends")
                return False
            self._falls[worker] = before + 1
            pause = _pause(before)
            due[worker] = now + pause
            _log.error("a worker ended by itself and is started again", worker=worker + 1, pause=pause)
        return True


def _pause(falls: int) -> float:
    return min(2.0 ** (falls - 1), LONGEST_PAUSE) if falls else 0.0


def _seconds_to(due: dict[int, float]) -> float | None:
    return max(0.0, min(due.values()) - time.monotonic()) if due else None
