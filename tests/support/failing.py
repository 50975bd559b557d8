"""A disk whose N-th call fails."""

from __future__ import annotations

import errno
import threading


class Failing:
    """A probe that raises at one of the points it is told.

    Args:
        at: which call fails, counted from 1; 0: none.
        error: with which `errno`.

    Attributes:
        always: whether every call fails.
    """

    def __init__(self, at: int = 0, error: int = errno.EIO) -> None:
        self.at = at
        self.error = error
        self.always = False
        self.points: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        """Told before (and, where something changed, after) each call."""
        with self._lock:
            self.points.append(point)
            if self.always or len(self.points) == self.at:
                raise OSError(self.error, f"made to fail at {point}")

    @property
    def failed(self) -> bool:
        """Whether it came to the call that was to fail."""
        return 0 < self.at <= len(self.points)
