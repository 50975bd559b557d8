"""Passwords of our own users: argon2id (RFC 9106), kept as PHC strings.

19 MiB, two passes, one lane: the smallest setting that OWASP's password storage cheat sheet names. More memory would
let a few logins at the same time weigh more than all the rest of a small registry; the queue bounds them in any case.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from moorage.auth.slow_checks import QUEUE, SlowChecks
from moorage.core.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

SHORTEST, LONGEST = 8, 1024
"""Characters that a new password has at least, bytes that any password has at most."""

MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1

_MOST_HASHINGS = 8


class Passwords:
    """Makes and checks hashes in few threads of low priority.

    Not for several event loops.

    Args:
        executor: where argon2 runs, `slow_checks.password_executor()`.
        monotonic: seconds, for the age of remembered results.
        queue: most checks that wait or run.
    """

    def __init__(self, executor: Executor, monotonic: Callable[[], float] = time.monotonic, queue: int = QUEUE) -> None:
        self._executor = executor
        self._checks = SlowChecks(_verify, executor, monotonic, queue)
        self._decoy = _decoy()
        self._hashing = 0

    async def hash(self, password: str) -> str:
        """The hash of a new password, a PHC string.

        Raises:
            TooManyRequests: many are being made at this moment.
        """
        if self._hashing >= _MOST_HASHINGS:
            raise TooManyRequests("Too many passwords are being set; try again in a few seconds.", 2)
        self._hashing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, hash_password, password)
        finally:
            self._hashing -= 1

    async def fits(self, user: str, password: bytes, stored: str | None, *, alone: bool = True) -> bool:
        """Whether a password is right. The time of the answer does not tell whether there is such a user.

        Args:
            user: the name that was given.
            password: what was given.
            stored: the user's hash; None where there is none, and then nothing fits.
            alone: whether nobody else knows users; where a directory does, unknown users do not share one quarter of
                the queue, because most of them are the directory's.

        Raises:
            TooManyRequests: too many wait to be checked.
        """
        if len(password) > LONGEST or "\0" in user:
            return False
        hashed = self._decoy if stored is None else stored.encode()
        return await self._checks.is_right(user, password, hashed, exists=stored is not None or not alone)


def hash_password(password: str) -> str:
    """The hash of a new password; takes some 20 ms of a core, so not for an event loop."""
    return _hasher().hash(password)


def is_password(password: str, stored: str) -> bool:
    """Whether a hash is of this password; takes as long as making it."""
    return _verify(password.encode(), stored.encode())


def check_new_password(password: str) -> str:
    """The password, if it may be one.

    Raises:
        ValueError: too short, too long or with a NUL; a sentence that says so and not what it was.
    """
    if len(password) < SHORTEST:
        raise ValueError(f"A password has at least {SHORTEST} characters.")
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST:
        raise ValueError(f"A password has at most {LONGEST} bytes.")
    if "\0" in password or not password.isprintable():
        raise ValueError("A password has no control characters.")
    return password


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


def _verify(password: bytes, stored: bytes) -> bool:
    """Runs in a thread; argon2 lets go of the interpreter's lock."""
    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _decoy() -> bytes:
    """A hash that nothing fits and that costs as much as a real one."""
    salt, tag = (base64.b64encode(secrets.token_bytes(size)).rstrip(b"=") for size in (16, 32))
    return b"$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s" % (MEMORY_KIB, PASSES, LANES, salt, tag)
