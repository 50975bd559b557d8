"""One after the other in a pool of threads: what follows begins without a trip through the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    Work = tuple[asyncio.Future[Any], Callable[..., Any], tuple[object, ...]]

T = TypeVar("T")

TURN = 8
"""Functions that are called before others that wait for a thread have their turn."""


class Strand:
    """Runs functions in the order in which they are given, in one thread of `executor` at a time, never two at once.

    To be used in one event loop. The thread is given back where nothing waits, and after `TURN` functions.
    """

    __slots__ = ("_busy", "_executor", "_lock", "_loop", "_turn", "_waiting")

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Work] = deque()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._busy = False

    def run(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Have `work` called after all that were given before; what it returns or raises.

        It is called also where the future is cancelled, or the loop ends: what follows may rely on it.

        Raises:
            RuntimeError: the executor was told to end.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        with self._lock:
            self._waiting.append((future, work, arguments))
            if self._busy:
                return future
            self._busy = True
        try:
            self._executor.submit(self._work_off)
        except RuntimeError:
            self._waiting.clear()
            self._busy = False
            raise
        return future

    def _work_off(self) -> None:
        # Where no thread can be started `submit` raises, and another finds in the queue what was given: hence a lock.
        with self._turn:
            while self._take_turn():
                with suppress(RuntimeError):  # or the threads are told to end: this one goes on to the end
                    self._executor.submit(self._work_off)
                    return

    def _take_turn(self) -> bool:
        """Do what waits; True where there may be more, and others that wait for a thread come first."""
        for _ in range(TURN):
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return False
                future, work, arguments = self._waiting.popleft()
            result, error = None, None
            try:
                result = work(*arguments)
            except BaseException as raised:  # noqa: BLE001 - it is raised where it is waited for
                error = raised
            with suppress(RuntimeError):  # the loop has ended and nobody waits; what follows is done all the same
                self._loop.call_soon_threadsafe(_settle, future, result, error)
            del future, work, arguments, result, error  # the next one may be long in coming
        return True


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
