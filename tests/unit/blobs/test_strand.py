"""A strand: in order, one at a time, without a trip through the loop in between."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

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


async def test_while_one_has_always_more_others_have_their_turn() -> None:
    """An upload whose client is fast must not hold a thread to its end."""
    with ThreadPoolExecutor(1) as one:
        strand, other = Strand(one), Strand(one)
        waiting = deque(strand.run(time.sleep, 0.001) for _ in range(2))
        asked = other.run(int)
        for _ in range(500):
            if asked.done():
                break
            waiting.append(strand.run(time.sleep, 0.001))
            await waiting.popleft()
        assert asked.done()
        await asyncio.gather(*waiting)


async def test_where_there_are_no_threads_any_more_everyone_is_told() -> None:
    gone = ThreadPoolExecutor(1)
    gone.shutdown()
    strand = Strand(gone)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="shutdown"):
            await asyncio.wait_for(strand.run(int), 10)


async def test_what_was_given_is_done_although_the_threads_are_told_to_end() -> None:
    ending = ThreadPoolExecutor(1)
    strand = Strand(ending)
    go = threading.Event()
    done: list[int] = []
    first = strand.run(go.wait, 10)
    rest = [strand.run(done.append, number) for number in range(50)]
    ending.shutdown(wait=False)
    go.set()
    await asyncio.wait_for(asyncio.gather(first, *rest), 10)
    assert done == list(range(50))


def test_what_was_given_is_done_although_its_loop_has_ended() -> None:
    """Such as letting go of a file behind a write."""
    go = threading.Event()
    done: list[str] = []
    with ThreadPoolExecutor(1) as executor:

        async def give() -> None:
            strand = Strand(executor)
            strand.run(go.wait, 10)
            strand.run(done.append, "closed")

        asyncio.run(give())
        go.set()
    assert done == ["closed"]


class _Limited(ThreadPoolExecutor):
    """As where the system has no thread more: that is raised, and what was given is in the queue all the same."""

    full = False

    def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
        given = super().submit(*arguments, **named)
        if self.full:
            raise RuntimeError("can't start new thread")
        return given


async def test_where_no_thread_can_be_started_it_goes_on_in_order_and_never_two_at_once() -> None:
    with _Limited(4) as executor:
        strand, go, inside = Strand(executor), threading.Event(), threading.Lock()
        done: list[int] = []

        def work(number: int) -> None:
            assert inside.acquire(blocking=False)
            time.sleep(0.001)
            done.append(number)
            inside.release()

        first = strand.run(go.wait, 10)
        given = [strand.run(work, number) for number in range(100)]
        await asyncio.gather(*(asyncio.wrap_future(executor.submit(int)) for _ in range(20)))  # threads that could
        executor.full = True
        go.set()
        await asyncio.wait_for(asyncio.gather(first, *given), 10)
        assert done == list(range(100))
