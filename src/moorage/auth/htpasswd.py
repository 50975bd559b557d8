"""Users and their bcrypt hashes in an Apache htpasswd file, read again when it changes.

Only bcrypt is accepted, as in Distribution: the other kinds that htpasswd can write are broken in seconds today. Of
several lines for one user the first counts, as Apache's mod_authn_file has it (Distribution takes the last).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import bcrypt

from moorage.auth.settings import HtpasswdSettings
from moorage.core.errors import Conflict
from moorage.telemetry.logs import logger

_log = logger(__name__)

# 128 bits of salt are 22 characters, 184 bits of hash 31. `$2x$` marks hashes of a broken crypt_blowfish.
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_KINDS = ("$2a$", "$2b$", "$2y$")
_CHEAPEST = 4
_DEAREST = 17  # half a minute a check; what is above (31 is days) would only stop everybody else
_CHECK_EVERY = 1.0
_LARGEST = 64 << 20
_USER = "docker"
_COST = 10


@dataclass(slots=True)
class Parsed:
    """What a text holds.

    entries: user to bcrypt hash.
    ignored: line numbers and why each does not count.
    broken: line numbers of what no tool writes: most likely the file is being written at this moment.
    """

    entries: dict[str, bytes] = field(default_factory=dict)
    ignored: list[tuple[int, str]] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)


def parse(data: bytes) -> Parsed:
    """Read the text of an htpasswd file: `user:hash` lines, `#` comments and blank lines."""
    parsed = Parsed()
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        name, colon, rest = line.partition(b":")
        try:
            user, text = name.decode(), rest.decode().partition(":")[0]
        except UnicodeDecodeError:
            parsed.ignored.append((number, "is not UTF-8"))
            continue
        if not colon or not user:
            parsed.broken.append((number, "has no user and hash with a colon between"))
        elif _is_cut_off(text):
            parsed.broken.append((number, "has a bcrypt hash that is not complete"))
        elif problem := _problem(text):
            parsed.ignored.append((number, problem))
        elif user in parsed.entries:
            parsed.ignored.append((number, f"is one more for user {user!r}; the first one counts"))
        else:
            parsed.entries[user] = text.encode()
    return parsed


def has_user(settings: HtpasswdSettings, user: str) -> bool:
    """Whether the file has that user at this moment; for who asks seldom.

    Raises:
        Conflict: it cannot be read.
    """
    try:
        with settings.path.open("rb") as file:
            return user in parse(file.read(_LARGEST)).entries
    except OSError as error:
        raise Conflict(f"The htpasswd file cannot be read ({error.strerror}); see auth.htpasswd.path.") from error


def _is_cut_off(text: str) -> bool:
    """Whether that is the beginning of a bcrypt hash and not all of it."""
    begins = any(text.startswith(kind) or kind.startswith(text) for kind in _KINDS)
    return begins and _BCRYPT.fullmatch(text) is None


def _problem(text: str) -> str | None:
    """Why a hash cannot be used, if it cannot."""
    found = _BCRYPT.fullmatch(text)
    if found is None:
        return "is not a bcrypt hash; make it with `htpasswd -B`"
    if not _CHEAPEST <= int(found[1]) <= _DEAREST:
        return f"has a bcrypt cost of {found[1]}; from {_CHEAPEST} to {_DEAREST} can be checked"
    return None


_Signature = tuple[int, int, int, int]


class HtpasswdFile:
    """The users of one file.

    The file is looked at no more than once a second and read when its time, size or inode changed. What cannot be
    read, or was caught half-written, changes nothing: the users of before stay. That means a file with broken lines
    or with users missing; where it was like that for a second it is meant so, its good lines count, and who is missing
    is out.

    Not for several threads.

    Args:
        settings: where the file is.
        monotonic: seconds, for the distance between two looks.
    """

    def __init__(self, settings: HtpasswdSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._monotonic = monotonic
        self._parsed = Parsed()
        self._costs = [_COST]
        self._decoys: dict[int, bytes] = {}
        self._seed = secrets.token_bytes(32)
        self._seen: _Signature | None = None
        self._settled = False
        self._complaint = ""
        self._next_look = monotonic() + _CHECK_EVERY
        self._look(first=True)

    def hash_of(self, user: str) -> bytes | None:
        """The bcrypt hash of `user`, None for one who is not there."""
        now = self._monotonic()
        if now >= self._next_look:
            self._next_look = now + _CHECK_EVERY
            self._look()
        return self._parsed.entries.get(user)

    def decoy_of(self, user: str) -> bytes:
        """A hash that no password fits, to be checked for a user who is not there.

        It costs what the check of one of the file's users costs, always the same for the same name, so that the time
        of an answer does not tell who is there even where users' costs differ.
        """
        digest = hashlib.blake2b(user.encode(), key=self._seed, digest_size=8).digest()
        cost = self._costs[int.from_bytes(digest, "big") % len(self._costs)]
        if cost not in self._decoys:
            self._decoys[cost] = bcrypt.gensalt(cost) + b"." * 31
        return self._decoys[cost]

    def _look(self, *, first: bool = False) -> None:
        try:
            if self._settled and self._signature(self.settings.path.stat()) == self._seen:
                return
            data, before, after = self._read()
        except (OSError, ValueError) as error:
            self._seen, self._settled = None, False
            self._complain(f"{type(error).__name__}: {error}")
            return
        # Each change is read twice, a second apart: a file may change twice within one tick of its clock.
        self._settled = before == after == self._seen
        self._seen = after
        parsed = parse(data)
        missing = self._parsed.entries.keys() - parsed.entries.keys()
        meant = self._settled or _is_old(after) or not (parsed.broken or missing)
        if first or (before == after and meant):
            self._accept(parsed)
        elif parsed.broken:
            self._complain("it looks half-written")

    def _accept(self, parsed: Parsed) -> None:
        self._complaint = ""
        if parsed == self._parsed:
            return
        self._parsed = parsed
        self._costs = sorted(int(hashed[4:6]) for hashed in parsed.entries.values()) or [_COST]
        path = str(self.settings.path)
        for number, problem in sorted(parsed.ignored + parsed.broken):
            _log.warning("a line of the htpasswd file is ignored", path=path, line=number, reason=problem)
        _log.info("htpasswd file read", path=path, users=len(parsed.entries))

    def _read(self) -> tuple[bytes, _Signature, _Signature]:
        with self.settings.path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > _LARGEST:
                raise ValueError(f"larger than {_LARGEST} bytes")
            data = file.read(_LARGEST)
            return data, self._signature(status), self._signature(os.fstat(file.fileno()))

    @staticmethod
    def _signature(status: os.stat_result) -> _Signature:
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            self._complaint = reason
            users = len(self._parsed.entries)
            _log.error("the htpasswd file cannot be used now", path=str(self.settings.path), reason=reason, kept=users)


def _is_old(signature: _Signature) -> bool:
    """Whether nobody has written to the file for longer than a look takes: a quiet worker looks late."""
    return time.time() - signature[0] / 1e9 > _CHECK_EVERY


def ensure_file(settings: HtpasswdSettings, stream: TextIO | None = None) -> bool:
    """Make the file with a user `docker` and a random password where it is missing, as Distribution does; True if made.

    To be called by the supervisor before workers start. The password is printed once, on `stream` (standard error), and
    stored nowhere. The file is readable by its owner only, and there completely or not at all.

    Raises:
        OSError: it is missing and cannot be made.
    """
    path = settings.path
    if path.exists():
        return False
    password = secrets.token_urlsafe(24)
    line = f"{_USER}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST)).decode()}\n"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _create(path, line.encode()):
        return False
    # Not through the log, which is kept and sent around.
    print(
        f"The htpasswd file {path} was missing and has been made, with user {_USER!r} and password {password}",
        file=sys.stderr if stream is None else stream,
        flush=True,
    )
    return True


def _create(path: Path, data: bytes) -> bool:
    """Write a file of mode 0600 that nobody sees half, durably; False where somebody else was faster."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
