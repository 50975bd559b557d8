"""The clock that is held and the identifiers that are counted."""

from __future__ import annotations

from moorage.core.names import is_key
from moorage.testing.fakes import NOON, CountedIds, HeldClock, upload_key


def test_the_clock_moves_only_when_told() -> None:
    clock = HeldClock()
    assert clock.now() == clock.now() == NOON
    clock.advance(1.5)
    assert clock.now() == NOON + 1.5
    clock.advance(-2)
    assert clock.now() == NOON - 0.5


def test_identifiers_are_counted_and_keys() -> None:
    ids = CountedIds()
    given = [ids.upload() for _ in range(3)]
    assert given == ids.given == [upload_key(1), upload_key(2), upload_key(3)]
    assert all(is_key(key) for key in given)
