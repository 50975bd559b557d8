"""What is asked of the database for health and metrics: by many at once, and of one that stands still."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from moorage.http import health
from moorage.http.health import Health
from moorage.http.request import Request


class Slow:
    """A database that answers when the loop has come round some times, or never."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self.reads = 0

    async def read(self, _query: object) -> int:
        self.reads += 1
        if self._rounds < 0:
            await asyncio.Event().wait()
        for _ in range(self._rounds):
            await asyncio.sleep(0)
        return 0


def ready_of(database: Slow) -> Any:
    made = Health(cast("Any", database), None, "")

    async def ask() -> int:
        request = cast("Request", type("Asked", (), {"path": "/readyz", "method": "GET"})())
        return (await made.answer(request)).status

    return ask


@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
async def test_many_who_ask_at_once_are_all_answered(rounds: int) -> None:
    """Who comes when one question is just answered begins the next, and takes nothing from who waited for the first."""
    database = Slow(rounds)
    ask = ready_of(database)

    async def often(pause: int) -> set[int]:
        found = set()
        for _ in range(100):
            found.add(await ask())
            for _ in range(pause):
                await asyncio.sleep(0)
        return found

    answers = await asyncio.gather(*(often(number % 7) for number in range(20)))
    assert answers == [{200}] * 20
    assert database.reads < 2000, "one question is for all who ask meanwhile"


async def test_one_that_stands_still_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ASK_SECONDS", 0.01)
    database = Slow(-1)
    ask = ready_of(database)
    assert [await ask() for _ in range(3)] == [503] * 3
    assert database.reads == 1
