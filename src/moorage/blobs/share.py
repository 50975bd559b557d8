"""How much memory one stream may take: a fixed sum divided by as many as there are.

The server below us keeps about eight pieces of an answer for a client that is slow to take them. With few streams the
pieces are large, because that is fast; with many they are small, so that two hundred slow clients cost no more than
twenty.
"""

from __future__ import annotations

PAGE = 4096


class Share:
    """The size of a piece, by the number of streams under way in this worker.

    Args:
        budget: bytes for one piece of every stream together.
        smallest: bytes of a piece, however many streams there are.
        largest: bytes of a piece, however few.
    """

    __slots__ = ("_budget", "_largest", "_smallest", "_streams", "size")

    def __init__(self, budget: int, smallest: int, largest: int) -> None:
        self._budget = budget
        self._smallest = smallest
        self._largest = largest
        self._streams = 0
        self.size = largest

    def enter(self) -> None:
        """One stream more."""
        self._streams += 1
        self._divide()

    def leave(self) -> None:
        """One stream less."""
        self._streams -= 1
        self._divide()

    def _divide(self) -> None:
        even = self._budget // max(1, self._streams) // PAGE * PAGE
        self.size = min(self._largest, max(self._smallest, even))
