"""HTTP Basic authentication (RFC 7617) against an htpasswd file, without letting bcrypt eat the machine."""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

import bcrypt

from moorage.auth.htpasswd import HtpasswdFile
from moorage.auth.ports import LoginWatch
from moorage.auth.slow_checks import QUEUE, SlowChecks, password_executor
from moorage.core.access import ANONYMOUS, Caller, Identity
from moorage.core.errors import TooManyRequests, Unauthorized, Unavailable

__all__ = ["BasicAuthenticator", "password_executor", "quoted", "read_basic"]

_LONGEST_HEADER = 8192
_BCRYPT_BYTES = 72
_LONGEST_NAME = 256
_WRONG = "The user name or the password is wrong."
_UNREADABLE = "The credentials cannot be read; Basic authentication wants base64 of user:password in UTF-8."


class BasicAuthenticator:
    """Who asks, from `Authorization: Basic`. An implementation of `moorage.auth.ports.Authenticator`.

    Results are remembered as `SlowChecks` says; what was remembered is void as soon as the file's entry changes.

    Not for several event loops.

    Args:
        htpasswd: the users.
        executor: where bcrypt runs, `password_executor()`.
        monotonic: seconds, for the age of results.
        queue: most checks that wait or run; a quarter of them for one user, and a quarter for all unknown ones.
        watch: told of logins, and says who failed too often; None: nobody watches.
    """

    def __init__(
        self,
        htpasswd: HtpasswdFile,
        executor: Executor,
        monotonic: Callable[[], float] = time.monotonic,
        queue: int = QUEUE,
        watch: LoginWatch | None = None,
    ) -> None:
        self._htpasswd = htpasswd
        self._watch = watch
        self._checks = SlowChecks(_check, executor, monotonic, queue)
        self._challenge = f'Basic realm="{quoted(htpasswd.settings.realm)}"'

    def known(self, authorization: str | None) -> Identity | None:
        """The user whose password was found right within ten minutes; ANONYMOUS without credentials; else None.

        Where somebody watches, `identify` looks at every password: a known one must not tell itself to a guesser.
        """
        if authorization is None:
            return ANONYMOUS
        credentials = _read(authorization)
        if credentials is None:
            return None
        user, password = credentials
        if not user and not password:
            return ANONYMOUS
        hashed = self._htpasswd.hash_of(user) if self._watch is None else None
        if hashed is None or not self._checks.is_known(user, password, hashed):
            return None
        return Identity(user, "user", credential="password")

    async def identify(self, authorization: str | None, address: str = "", request_id: str = "") -> Identity:
        """See `Authenticator.identify`. The time of an answer does not tell whether a user exists."""
        if authorization is None:
            return ANONYMOUS
        credentials = _read(authorization)
        caller = Caller(Identity("", "unknown"), address=address, request_id=request_id)
        if credentials is None:
            if self._watch is not None:
                self._watch.refused(caller, "unreadable")
            raise Unauthorized(_UNREADABLE, challenge=self._challenge)
        user, password = credentials
        if not user and not password:
            return ANONYMOUS
        if self._watch is None:
            right = await self._is_right(user, password)
        else:
            right = await self._watched(user, password, self._watch, caller)
        if not right:
            raise Unauthorized(_WRONG, challenge=self._challenge)
        return Identity(user, "user", credential="password")

    async def _watched(self, user: str, password: bytes, watch: LoginWatch, caller: Caller) -> bool:
        caller = replace(caller, identity=Identity(user[:_LONGEST_NAME], "unknown"))
        forget = await watch.admit(user, caller)
        try:
            right = await self._is_right(user, password)
        except (TooManyRequests, Unavailable) as error:
            watch.refused(caller, error.message, failed=True)
            raise
        if right:
            await watch.passed(Identity(user, "user", credential="password"), user, caller, forget=forget)
        else:
            await watch.failed(user, caller, password.hex(), "credentials")
        return right

    async def _is_right(self, user: str, password: bytes) -> bool:
        entry = self._htpasswd.hash_of(user)
        hashed = self._htpasswd.decoy_of(user) if entry is None else entry
        return await self._checks.is_right(user, password, hashed, exists=entry is not None)

    def challenge(self, origin: str = "", scope: str = "", error: str = "") -> str:
        """`Basic realm="..."`, whatever was asked for."""
        return self._challenge


def _read(authorization: str) -> tuple[str, bytes] | None:
    """As `read_basic`, the password cut as bcrypt does it."""
    credentials = read_basic(authorization)
    return None if credentials is None else (credentials[0], credentials[1][:_BCRYPT_BYTES])


def read_basic(authorization: str) -> tuple[str, bytes] | None:
    """User and password of an `Authorization` header; None if unreadable.

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
    return user, password


def _check(password: bytes, hashed: bytes) -> bool:
    """Whether the password is right. Runs in a thread."""
    try:
        # Compares in constant time (pyca/bcrypt: `subtle::ConstantTimeEq`).
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # a salt of the right form whose last character has bits that nobody uses
        return False


def quoted(realm: str) -> str:
    """`realm` inside of a quoted-string (RFC 9110 section 5.6.4), in what every client reads: printable ASCII."""
    plain = "".join(char if " " <= char <= "~" else "?" for char in realm)
    return plain.replace("\\", "\\\\").replace('"', '\\"')
