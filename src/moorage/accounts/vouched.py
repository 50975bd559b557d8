"""Passwords that a directory found right lately, so that it is not asked at each request."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict

DIRECTORY_SECONDS = 60.0
"""How long a directory's yes to a password is remembered."""

MOST_REMEMBERED = 10_000


class Vouched:
    """Who has which password, for DIRECTORY_SECONDS, under an HMAC with a key of this process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._found: OrderedDict[bytes, tuple[float, int, int, str]] = OrderedDict()

    def add(self, name: str, password: str, row: int, epoch: int, source: str, now: float) -> None:
        """Remember that `source` vouches for the user of that row, who had that epoch then."""
        self._found[self._digest(name, password)] = (now + DIRECTORY_SECONDS, row, epoch, source)
        if len(self._found) > MOST_REMEMBERED:
            self._found.popitem(last=False)

    def get(self, name: str, password: str, now: float) -> tuple[int, int, str] | None:
        """Row, epoch and source; None where nothing is remembered."""
        digest = self._digest(name, password)
        found = self._found.get(digest)
        if found is None:
            return None
        if found[0] <= now:
            del self._found[digest]
            return None
        return found[1:]

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")
