"""Time and identifiers as arguments, so that tests can hold them."""

from __future__ import annotations

import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since 1970 UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds since 1970 UTC."""
        return time.time()


class Ids(Protocol):
    """Where new identifiers come from."""

    def upload(self) -> str:
        """A new upload session's identifier: lower-case UUID."""
        ...


class RandomIds:
    """Version 4 UUIDs."""

    def upload(self) -> str:
        """A new upload session's identifier: lower-case UUID."""
        return str(uuid.uuid4())
