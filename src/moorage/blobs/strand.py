"""One after the other in a pool of threads: what follows begins without a trip through the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    Work = tuple[asyncio.Future[Any], Callable[..., Any], tuple[object, ...]]

T = TypeVar("T")


class Strand:
    """Runs functions in the order in which they are given, in one thread of `executor` at a time, never two at once.

    To be used in one event loop. The thread is given back where nothing waits.
    """

    __slots__ = ("_busy", "_executor", "_lock", "_loop", "_waiting")

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Work] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def run(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Have `work` called after all that were given before; what it returns or raises.

        It is called also where the future is cancelled: what follows may rely on it.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        with self._lock:
            self._waiting.append((future, work, arguments))
            if self._busy:
                return future
            self._busy = True
        self._executor.submit(self._work_off)
        return future

    def _work_off(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                future, work, arguments = self._waiting.popleft()
            result, error = None, None
            try:
                result = work(*arguments)
            except BaseException as raised:  # noqa: BLE001 - it is raised where it is waited for
                error = raised
            self._loop.call_soon_threadsafe(_settle, future, result, error)
            del future, work, arguments, result, error  # the next one may be long in coming


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
