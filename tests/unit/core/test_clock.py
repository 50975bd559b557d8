"""Time and identifiers."""

from __future__ import annotations

import time

from moorage.core.clock import RandomIds, SystemClock
from moorage.core.names import is_key


def test_the_clock_is_the_machines_own() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_identifiers_are_keys_and_never_the_same() -> None:
    given = {RandomIds().upload() for _ in range(1000)}
    assert len(given) == 1000
    assert all(is_key(key) for key in given)
