"""HTTP Basic authentication (RFC 7617) against an htpasswd file, without letting bcrypt eat the machine.

A bcrypt check costs tens of milliseconds of a core, on purpose. So results are remembered, equal checks that run at the
same time are one, and checks run in few threads of low priority behind a short queue.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import os
import secrets
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress

import bcrypt

from moorage.auth.htpasswd import HtpasswdFile
from moorage.core.access import ANONYMOUS, Identity
from moorage.core.errors import TooManyRequests, Unauthorized, Unavailable

_LONGEST_HEADER = 8192
_BCRYPT_BYTES = 72
_KNOWN_SECONDS = 600.0
_WRONG_SECONDS = 5.0
_MOST_RESULTS = 10_000
_QUEUE = 32
_NICENESS = 5
_WRONG = "The user name or the password is wrong."
_UNREADABLE = "The credentials cannot be read; Basic authentication wants base64 of user:password in UTF-8."


def password_executor(cpus: int | None = None) -> ThreadPoolExecutor:
    """Threads for bcrypt: half as many as there are processors, and behind everything else in the scheduler's order.

    Each worker process has its own; bcrypt lets go of the interpreter's lock, so the event loop runs beside it.
    """
    threads = max(1, (cpus or os.cpu_count() or 1) // 2)
    return ThreadPoolExecutor(threads, thread_name_prefix="passwords", initializer=_step_back)


class BasicAuthenticator:
    """Who asks, from `Authorization: Basic`. An implementation of `moorage.auth.ports.Authenticator`.

    A right password is remembered for ten minutes and a wrong one for five seconds, under an HMAC with a random key
    of this process over user, password and the entry's hash: nothing in memory tells the password, and what was
    remembered is void as soon as the entry changes. Both memories are bounded, the least recently used go first;
    wrong passwords cannot push out right ones.

    Not for several event loops.

    Args:
        htpasswd: the users.
        executor: where bcrypt runs, `password_executor()`.
        monotonic: seconds, for the age of results.
        queue: most checks that wait or run; a quarter of them for one user, and a quarter for all unknown ones.
    """

    def __init__(
        self,
        htpasswd: HtpasswdFile,
        executor: Executor,
        monotonic: Callable[[], float] = time.monotonic,
        queue: int = _QUEUE,
    ) -> None:
        self._htpasswd = htpasswd
        self._executor = executor
        self._monotonic = monotonic
        self._queue = queue
        self._queue_of_one = max(1, queue // 4)
        self._key = secrets.token_bytes(32)
        self._right = _Results(_KNOWN_SECONDS)
        self._wrong = _Results(_WRONG_SECONDS)
        self._running: dict[bytes, asyncio.Future[float]] = {}
        self._waiting: Counter[str] = Counter()
        self._seconds = 0.1  # what a check took last
        self._challenge = f'Basic realm="{_quoted(htpasswd.settings.realm)}"'

    def known(self, authorization: str | None) -> Identity | None:
        """The user whose password was found right within ten minutes; ANONYMOUS without credentials; else None."""
        if authorization is None:
            return ANONYMOUS
        credentials = read_basic(authorization)
        if credentials is None:
            return None
        user, password = credentials
        if not user and not password:
            return ANONYMOUS
        hashed = self._htpasswd.hash_of(user)
        if hashed is None:
            return None
        return self._right.get(self._digest(user, password, hashed), self._monotonic())

    async def identify(self, authorization: str | None) -> Identity:
        """See `Authenticator.identify`. The time of an answer does not tell whether a user exists."""
        if authorization is None:
            return ANONYMOUS
        credentials = read_basic(authorization)
        if credentials is None:
            raise Unauthorized(_UNREADABLE, challenge=self._challenge)
        user, password = credentials
        if not user and not password:
            return ANONYMOUS
        entry = self._htpasswd.hash_of(user)
        hashed = self._htpasswd.decoy_of(user) if entry is None else entry
        digest = self._digest(user, password, hashed)
        who = self._result(digest)
        if who is None:
            check = self._running.get(digest)
            if check is None:
                check = self._start(digest, None if entry is None else Identity(user, "user"), password, hashed)
            # Shielded: others may wait for the same check when this client leaves.
            await asyncio.shield(check)
            who = self._result(digest)
        if who is None or who is ANONYMOUS:
            raise Unauthorized(_WRONG, challenge=self._challenge)
        return who

    def challenge(self, origin: str = "", scope: str = "", error: str = "") -> str:
        """`Basic realm="..."`, whatever was asked for."""
        return self._challenge

    def _digest(self, user: str, password: bytes, hashed: bytes) -> bytes:
        # Neither a user name nor a hash has a NUL, so that no two different triples give the same bytes.
        return hmac.digest(self._key, b"\0".join((user.encode(), hashed, password)), "sha256")

    def _result(self, digest: bytes) -> Identity | None:
        """What a check gave lately: the user, ANONYMOUS for a wrong password, None if there was none."""
        now = self._monotonic()
        return self._right.get(digest, now) or self._wrong.get(digest, now)

    def _start(self, digest: bytes, who: Identity | None, password: bytes, hashed: bytes) -> asyncio.Future[float]:
        bucket = "" if who is None else who.name
        if len(self._running) >= self._queue or self._waiting[bucket] >= self._queue_of_one:
            wait = 1 + int(len(self._running) * self._seconds)
            raise TooManyRequests("Too many passwords are being checked; try again later.", min(wait, 60))
        try:
            check = asyncio.get_running_loop().run_in_executor(self._executor, _check, password, hashed)
        except RuntimeError:  # the executor was shut down: the program is ending
            raise Unavailable("The server is being stopped; try again.") from None
        self._running[digest] = check
        self._waiting[bucket] += 1
        check.add_done_callback(lambda check: self._finished(check, digest, bucket, who))
        return check

    def _finished(self, check: asyncio.Future[float], digest: bytes, bucket: str, who: Identity | None) -> None:
        """Note the result, also where the client that asked is gone: it will ask again."""
        del self._running[digest]
        self._waiting[bucket] -= 1
        if not self._waiting[bucket]:
            del self._waiting[bucket]
        if check.cancelled() or check.exception() is not None:
            return
        self._seconds = abs(check.result())
        if check.result() > 0 and who is not None:
            self._right.put(digest, who, self._monotonic())
        else:
            self._wrong.put(digest, ANONYMOUS, self._monotonic())


class _Results:
    """What checks gave, for some time, at most _MOST_RESULTS of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._found: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, digest: bytes, now: float) -> Identity | None:
        found = self._found.get(digest)
        if found is None:
            return None
        if now >= found[0]:
            del self._found[digest]
            return None
        self._found.move_to_end(digest)
        return found[1]

    def put(self, digest: bytes, who: Identity, now: float) -> None:
        self._found[digest] = (now + self._seconds, who)
        self._found.move_to_end(digest)
        if len(self._found) > _MOST_RESULTS:
            self._found.popitem(last=False)


def read_basic(authorization: str) -> tuple[str, bytes] | None:
    """User and password (at most 72 bytes, as bcrypt counts them) of an `Authorization` header; None if unreadable.

    Both are valid UTF-8 without NUL; the password may have colons. Other schemes than Basic are unreadable here.
    """
    if len(authorization) > _LONGEST_HEADER or authorization[:6].lower() != "basic ":
        return None
    try:
        plain = binascii.a2b_base64(authorization[6:].strip(" "), strict_mode=True)
        name, colon, password = plain.partition(b":")
        user = name.decode()
        password.decode()
    except ValueError:  # base64 garbage, text outside of ASCII, bytes that are no UTF-8
        return None
    if not colon or b"\0" in plain:
        return None
    return user, password[:_BCRYPT_BYTES]


def _check(password: bytes, hashed: bytes) -> float:
    """Seconds that the check took; negative if the password is wrong. Runs in a thread."""
    started = time.perf_counter()
    try:
        # Compares in constant time (pyca/bcrypt: `subtle::ConstantTimeEq`).
        right = bcrypt.checkpw(password, hashed)
    except ValueError:  # a salt of the right form whose last character has bits that nobody uses
        right = False
    seconds = max(time.perf_counter() - started, 1e-9)
    return seconds if right else -seconds


def _step_back() -> None:
    """On Linux the niceness of a thread is its own."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _quoted(realm: str) -> str:
    """`realm` inside of a quoted-string (RFC 9110 section 5.6.4), in what every client reads: printable ASCII."""
    plain = "".join(char if " " <= char <= "~" else "?" for char in realm)
    return plain.replace("\\", "\\\\").replace('"', '\\"')
