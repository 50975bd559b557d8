"""Answers that wait for nothing are given in the server's own thread, without a trip to the event loop.

Granian hands each request from its network thread to a thread of Python's. That one makes the scope and wakes the event
loop's thread, which runs the application. For an answer that is ready in some microseconds this second half of the way
costs more than the answer, and the two threads fight for the interpreter's lock. See docs/adr/0010.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from granian import _futures
from granian.server import mp

if TYPE_CHECKING:
    from collections.abc import Callable

    AtOnce = Callable[[dict[str, Any], Any], bool]

_MAKER = "_new_cbscheduler"
_PLACES = ("_CBSchedulerAIO", "_BaseCBScheduler", "_cbsched_aioschedule", "_aio_taskenter", "_aio_taskleave")


def install(at_once: AtOnce, serving: Callable[[Any], None]) -> bool:
    """Have this worker ask `at_once` before the event loop; to be called before its server is built.

    Args:
        at_once: is given the scope and `send` of a request, in a thread without a loop; False: it did nothing, and
            the loop is to serve the request.
        serving: is given the loop when the application has started; what it schedules runs when the server serves.

    Returns:
        False where this release of Granian is made differently: then everything goes through the loop, as usual.
    """
    if not hasattr(mp, _MAKER) or not all(hasattr(_futures, name) for name in _PLACES):
        return False
    setattr(mp, _MAKER, partial(_scheduler, at_once, serving))
    return True


def _scheduler(at_once: AtOnce, serving: Callable[[Any], None], loop: Any, callback: Any, **_: object) -> Any:
    """What Granian's own `_new_cbscheduler` returns, with `at_once` before it."""
    base, plain, to_loop, enter, leave = (getattr(_futures, name) for name in _PLACES)

    class Scheduler(base):  # type: ignore[misc, valid-type] # no stub knows of it
        def __init__(self, *_: object) -> None:
            plain.__init__(self)
            # Set once and never again: Granian ends the process where it is set twice.
            self._schedule_fn = _first(at_once, to_loop(loop, self._ctx, callback))

    serving(loop)
    return Scheduler(loop, callback, None, partial(enter, loop), partial(leave, loop))


def _first(at_once: AtOnce, later: Callable[[Any], None]) -> Callable[[Any], None]:
    def schedule(watcher: Any) -> None:
        done = False
        with suppress(Exception):  # one that left here would end the process; the loop will tell what is wrong
            done = at_once(watcher.scope, watcher.proto.send)
        if done:
            watcher.done()
        else:
            later(watcher)

    return schedule
