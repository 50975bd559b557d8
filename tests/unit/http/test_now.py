"""`finish_now`: what need not wait ends where it is called."""

from __future__ import annotations

import asyncio

import pytest

from moorage.http.now import WouldWaitError, finish_now


async def _ready() -> int:
    await _nothing()
    return 7


async def _nothing() -> None:
    return


def test_a_coroutine_that_does_not_wait_returns() -> None:
    assert finish_now(_ready()) == 7


def test_its_error_is_raised() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        finish_now(fail())


def test_one_that_waits_is_ended_there() -> None:
    ended = []

    async def wait() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            ended.append(True)

    with pytest.raises(WouldWaitError):
        finish_now(wait())
    assert ended == [True]
