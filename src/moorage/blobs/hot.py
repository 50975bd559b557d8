"""The small blobs that are asked for again and again, in memory.

Content never changes under its digest, and whether somebody may see it is asked of the facts each time; so nothing
here can be out of date.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress

LARGEST = 256 * 1024
"""Bytes of the largest blob that is kept."""

BUDGET = 12 * 1024 * 1024
"""Bytes in all, in each worker."""


class HotBlobs:
    """A cache by location, least recently used out first. `get` may be called from any thread, the rest from one.

    Args:
        budget: bytes to keep at most.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._room = budget

    def get(self, location: str) -> bytes | None:
        """The whole blob, or None."""
        data = self._kept.get(location)
        if data is not None:
            with suppress(KeyError):  # another thread has just dropped it
                self._kept.move_to_end(location)
        return data

    def keep(self, location: str, data: bytes) -> None:
        """Remember a blob of at most `LARGEST` bytes."""
        if location in self._kept:
            return
        self._kept[location] = data
        self._room -= len(data)
        while self._room < 0:
            _, gone = self._kept.popitem(last=False)
            self._room += len(gone)

    def forget(self, location: str) -> None:
        """Drop a blob that was deleted."""
        self._room += len(self._kept.pop(location, b""))
