"""A question whose answer may never come: waited for a little, not given up, and never asked twice at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Patient(Generic[T]):
    """One question for all who ask while it is open, so that neither threads nor connections pile up.

    Args:
        ask: asks it.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._open: asyncio.Future[T] | None = None

    async def answer(self, seconds: float) -> T:
        """What the question returns or raises.

        Raises:
            TimeoutError: it takes longer than `seconds`.
        """
        asked = self._open
        if asked is None or asked.done():
            asked = self._open = asyncio.ensure_future(self._ask())
        done, _ = await asyncio.wait({asked}, timeout=seconds)
        if not done:
            raise TimeoutError
        return asked.result()  # ours: meanwhile another one may have asked the next
