"""Coroutines that need not wait, run to their end where they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class WouldWaitError(Exception):
    """It is not done, because it would have to wait for something."""


def finish_now(coroutine: Coroutine[object, None, T]) -> T:
    """What the coroutine returns, if it gets there without waiting; works in any thread, with or without a loop.

    Raises:
        WouldWaitError: it had to wait, and was ended there.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise WouldWaitError
