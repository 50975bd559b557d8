"""A crowd that guesses passwords while somebody known asks: who waits for whom, told by order and not by seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

CROWD = 100
QUESTIONS = 40


@dataclass
class Among:
    """What came of it.

    Attributes:
        answers: statuses that the guesses got.
        gone_by: for each question, how many guesses were checked between it and its answer.
        waiting: for each question, how many guesses waited when its answer came.
    """

    answers: list[int] = field(default_factory=list)
    gone_by: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)


def among_guesses(guess: Callable[[int], int], ask: Callable[[int], object]) -> Among:
    """A hundred guess at once, each again and again while it is let, and `ask` is called forty times meanwhile.

    Args:
        guess: tries a wrong password, of its own for each number, and gives back the status.
        ask: asks something that must not wait for them.
    """
    found = Among()
    over = threading.Event()

    numbers = count()  # a password that was wrong a moment ago is not checked again

    def one() -> None:
        status = 401
        while status == 401 and not over.is_set():
            status = guess(next(numbers))
            found.answers.append(status)

    with ThreadPoolExecutor(CROWD) as pool:
        crowd = [pool.submit(one) for _ in range(CROWD)]
        try:
            for number in range(QUESTIONS):
                before = found.answers.count(401)
                ask(number)
                found.gone_by.append(found.answers.count(401) - before)
                found.waiting.append(sum(not each.done() for each in crowd))
        finally:
            over.set()
    for each in crowd:
        each.result()
    return found


def check_overtaking(found: Among) -> None:
    """Guesses end with 401 or 429 only; whoever is known waited for none of those before them.

    Eight guesses may wait in each worker: behind them, one would see eight of them checked, and not less than half of
    that when they are spread over two workers.
    """
    assert set(found.answers) <= {401, 429}
    assert all(found.waiting), "there was no guess left to wait for"
    assert sorted(found.gone_by)[QUESTIONS * 9 // 10] < 4, found.gone_by
