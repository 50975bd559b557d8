"""A clock that stands still and identifiers that are known beforehand."""

from __future__ import annotations

NOON = 1_700_000_000.0
"""Where a held clock stands at first: seconds since 1970 UTC, some day in 2023."""


class HeldClock:
    """A `moorage.core.clock.Clock` that moves only when told to.

    Args:
        now: seconds since 1970 UTC.
    """

    def __init__(self, now: float = NOON) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since 1970 UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` (back where they are negative, as after a correction of the machine's clock)."""
        self._now += seconds


class CountedIds:
    """A `moorage.core.clock.Ids` that counts: 00000000-0000-4000-8000-000000000001 and so on."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def upload(self) -> str:
        """The next identifier, a lower-case UUID; all of them are kept in `given`."""
        key = upload_key(len(self.given) + 1)
        self.given.append(key)
        return key


def upload_key(number: int) -> str:
    """A lower-case UUID (version 4 in form) that ends in `number`, from 0 to 16**12 - 1."""
    return f"00000000-0000-4000-8000-{number:012x}"
