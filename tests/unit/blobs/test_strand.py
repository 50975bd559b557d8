"""A strand: in order, one at a time, without a trip through the loop in between."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from moorage.blobs.strand import Strand


async def test_what_is_given_is_done_in_order_and_never_two_at_once(executor: ThreadPoolExecutor) -> None:
    strand = Strand(executor)
    done: list[int] = []
    inside = threading.Lock()

    def work(number: int) -> int:
        assert inside.acquire(blocking=False)
        done.append(number)
        inside.release()
        return -number

    assert await asyncio.gather(*(strand.run(work, number) for number in range(500))) == [-n for n in range(500)]
    assert done == list(range(500))


async def test_two_strands_do_not_wait_for_each_other(executor: ThreadPoolExecutor) -> None:
    begun = threading.Event()
    waits = Strand(executor).run(begun.wait, 10)
    await Strand(executor).run(begun.set)
    assert await waits


async def test_an_error_is_raised_where_it_is_waited_for_and_the_next_is_done(executor: ThreadPoolExecutor) -> None:
    strand = Strand(executor)

    def fail() -> None:
        raise OSError("disk")

    failing, following = strand.run(fail), strand.run(lambda: 5)
    with pytest.raises(OSError, match="disk"):
        await failing
    assert await following == 5


async def test_what_is_cancelled_before_it_begins_is_done_all_the_same(executor: ThreadPoolExecutor) -> None:
    strand = Strand(executor)
    go = threading.Event()
    done: list[int] = []
    first, second, third = strand.run(go.wait, 10), strand.run(done.append, 2), strand.run(done.append, 3)
    second.cancel()
    go.set()
    await first
    await third
    assert done == [2, 3]


async def test_what_is_cancelled_while_it_is_done_disturbs_nobody(executor: ThreadPoolExecutor) -> None:
    strand = Strand(executor)
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(10)

    first = strand.run(work)
    await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    go.set()
    assert await strand.run(lambda: "next") == "next"


async def test_its_thread_is_given_back_when_nothing_waits() -> None:
    with ThreadPoolExecutor(1) as one:
        strand, other = Strand(one), Strand(one)
        for _ in range(50):
            await strand.run(int)
            await other.run(int)
