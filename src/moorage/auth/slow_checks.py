"""Checks of passwords that cost much on purpose (bcrypt, argon2id), without letting them eat the machine.

A check takes tens of milliseconds of a core. So results are remembered, equal checks that run at the same time are one,
and checks run in few threads of low priority behind a short queue.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from moorage.core.errors import TooManyRequests, Unavailable

K = TypeVar("K", bound=Hashable)

KNOWN_SECONDS = 600.0
WRONG_SECONDS = 5.0
MOST_RESULTS = 10_000
QUEUE = 32
_NICENESS = 5


def password_executor(cpus: int | None = None) -> ThreadPoolExecutor:
    """Threads for checks: half as many as there are processors, and behind everything else in the scheduler's order.

    Each worker process has its own; the hash functions let go of the interpreter's lock, so the event loop runs beside.
    """
    threads = max(1, (cpus or os.cpu_count() or 1) // 2)
    return ThreadPoolExecutor(threads, thread_name_prefix="passwords", initializer=_step_back)


class SlowChecks:
    """Runs checks and remembers what they gave.

    A right password is remembered for ten minutes and a wrong one for five seconds, under an HMAC with a random key
    of this process over user, password and the stored hash: nothing in memory tells the password, and what was
    remembered is void as soon as the hash changes. Both memories are bounded, the least recently used go first;
    wrong passwords cannot push out right ones.

    Not for several event loops.

    Args:
        verify: whether a password fits a hash; runs in a thread, takes equally long for both answers.
        executor: where it runs, `password_executor()`.
        monotonic: seconds, for the age of results.
        queue: most checks that wait or run; a quarter of them for one user, and a quarter for all unknown ones.
    """

    def __init__(
        self,
        verify: Callable[[bytes, bytes], bool],
        executor: Executor,
        monotonic: Callable[[], float] = time.monotonic,
        queue: int = QUEUE,
    ) -> None:
        self._verify = verify
        self._executor = executor
        self._monotonic = monotonic
        self._queue = queue
        self._queue_of_one = max(1, queue // 4)
        self._key = secrets.token_bytes(32)
        self._right = Remembered[bytes](KNOWN_SECONDS)
        self._wrong = Remembered[bytes](WRONG_SECONDS)
        self._running: dict[bytes, asyncio.Future[float]] = {}
        self._waiting: Counter[str] = Counter()
        self._seconds = 0.1  # what a check took last

    def is_known(self, user: str, password: bytes, hashed: bytes) -> bool:
        """Whether that password was found right for that hash lately; does not wait."""
        return self._right.has(self._digest(user, password, hashed), self._monotonic())

    async def is_right(self, user: str, password: bytes, hashed: bytes, *, exists: bool = True) -> bool:
        """Whether the password fits the hash.

        Args:
            user: whose it is; without NUL, as is `hashed`.
            password: what was given.
            hashed: what is stored; a decoy of the same cost where there is no such user.
            exists: False for a decoy, which nothing fits.

        Raises:
            TooManyRequests: the queue is full, for everybody or for this user.
            Unavailable: the program is ending.
        """
        digest = self._digest(user, password, hashed)
        known = self._result(digest)
        if known is None:
            check = self._running.get(digest)
            if check is None:
                check = self._start(digest, user if exists else "", password, hashed)
            # Shielded: others may wait for the same check when this client leaves.
            await asyncio.shield(check)
            known = self._result(digest)
        return bool(known)

    def _digest(self, user: str, password: bytes, hashed: bytes) -> bytes:
        # Neither a user name nor a hash has a NUL, so that no two different triples give the same bytes.
        return hmac.digest(self._key, b"\0".join((user.encode(), hashed, password)), "sha256")

    def _result(self, digest: bytes) -> bool | None:
        """What a check gave lately; None if there was none."""
        now = self._monotonic()
        if self._right.has(digest, now):
            return True
        return False if self._wrong.has(digest, now) else None

    def _start(self, digest: bytes, bucket: str, password: bytes, hashed: bytes) -> asyncio.Future[float]:
        if len(self._running) >= self._queue or self._waiting[bucket] >= self._queue_of_one:
            wait = 1 + int(len(self._running) * self._seconds)
            raise TooManyRequests("Too many passwords are being checked; try again later.", min(wait, 60))
        try:
            check = asyncio.get_running_loop().run_in_executor(self._executor, self._timed, password, hashed)
        except RuntimeError:  # the executor was shut down: the program is ending
            raise Unavailable("The server is being stopped; try again.") from None
        self._running[digest] = check
        self._waiting[bucket] += 1
        check.add_done_callback(lambda check: self._finished(check, digest, bucket))
        return check

    def _timed(self, password: bytes, hashed: bytes) -> float:
        """Seconds that the check took; negative if the password is wrong. Runs in a thread."""
        started = time.perf_counter()
        right = self._verify(password, hashed)
        seconds = max(time.perf_counter() - started, 1e-9)
        return seconds if right else -seconds

    def _finished(self, check: asyncio.Future[float], digest: bytes, bucket: str) -> None:
        """Note the result, also where the client that asked is gone: it will ask again."""
        del self._running[digest]
        self._waiting[bucket] -= 1
        if not self._waiting[bucket]:
            del self._waiting[bucket]
        if check.cancelled() or check.exception() is not None:
            return
        self._seconds = abs(check.result())
        remembered = self._right if check.result() > 0 and bucket else self._wrong
        remembered.add(digest, self._monotonic())


class Remembered(Generic[K]):
    """Things of which we know for some time that they were so, at most MOST_RESULTS of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._found: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def has(self, thing: K, now: float) -> bool:
        """Whether it was added within the time."""
        until = self._found.get(thing)
        if until is None:
            return False
        if now >= until:
            del self._found[thing]
            return False
        self._found.move_to_end(thing)
        return True

    def add(self, thing: K, now: float) -> None:
        """Remember it from now on; the least recently used one goes where there are too many."""
        self._found[thing] = now + self._seconds
        self._found.move_to_end(thing)
        if len(self._found) > MOST_RESULTS:
            self._found.popitem(last=False)

    def drop(self, thing: K) -> None:
        """Forget it, if it is remembered."""
        self._found.pop(thing, None)


def _step_back() -> None:
    """On Linux the niceness of a thread is its own."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
