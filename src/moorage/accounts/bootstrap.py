"""What must be there before anybody can log in: the secret that keys are sealed with, and a first admin."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from moorage.auth.passwords import check_new_password, hash_password, is_password
from moorage.core.access import SYSTEM
from moorage.core.audit import OK, AuditEntry
from moorage.metadata.audit import record
from moorage.metadata.factory import open_database
from moorage.metadata.tables_access import users

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from moorage.core.clock import Clock

ADMIN = "admin"
_SHORTEST_SECRET = 32


class BootstrapError(Exception):
    """The program cannot start; the message says what to do."""


def read_secret(path: Path) -> str:
    """The secret in a file, which is made, readable for us alone, where it is missing.

    Raises:
        BootstrapError: it cannot be read or made, or what is in it is no secret.
    """
    with suppress(FileExistsError):
        _write_secret(path, secrets.token_urlsafe(48))
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise BootstrapError(f"{path} cannot be read ({error}); see auth.local.secretfile.") from error
    if len(found) < _SHORTEST_SECRET:
        raise BootstrapError(f"{path} holds fewer than {_SHORTEST_SECRET} characters; put a long random text there.")
    return found


def make_first_admin(url: str, root: Path, given: str | None, clock: Clock) -> str | None:
    """Make the user `admin` where there is no user at all.

    Args:
        url: of the database.
        root: a random password is left there, in `admin-password`, readable for us alone.
        given: the password that the operator wants; None for a random one.
        clock: for when it was made.

    Returns:
        The random password, to be shown once; None where nothing was made, or with the operator's own.

    Raises:
        BootstrapError: the operator's password is none, or the file cannot be written.
        Unavailable: the database does not answer.
    """
    if asyncio.run(_with_database(url, _has_users)):
        return None
    if given is not None:
        try:
            password = check_new_password(given)
        except ValueError as error:
            raise BootstrapError(f"MOORAGE_ADMIN_PASSWORD cannot be used: {error}") from None
    else:
        # Written before the user is: one who is there has a password that somebody can know.
        password = _kept_password(root / "admin-password")
    hashed = hash_password(password)

    def change(connection: Connection) -> bool:
        if _has_users(connection):
            return False
        _add_admin(connection, hashed, clock.now())
        return True

    with suppress(IntegrityError):  # another instance was faster
        if asyncio.run(_with_database(url, change, writes=True)):
            return password if given is None else None
    if given is None:
        asyncio.run(_with_database(url, lambda connection: _drop_unless_right(connection, password, root)))
    return None


def _drop_unless_right(connection: Connection, password: str, root: Path) -> bool:
    """An instance with another root made the admin: the password in ours is nobody's."""
    stored = connection.execute(select(users.c.password).where(users.c.name == ADMIN)).scalar()
    if stored is not None and is_password(password, stored):
        return False
    (root / "admin-password").unlink(missing_ok=True)
    return True


def _kept_password(path: Path) -> str:
    try:
        with suppress(FileExistsError):
            _write_secret(path, secrets.token_urlsafe(18))
        return check_new_password(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        raise BootstrapError(f"{path} cannot be used for the first password ({error}); remove it.") from error


def _write_secret(path: Path, text: str) -> None:
    """Make a file that was not there, all of it or nothing, durable.

    Raises:
        FileExistsError: it is there; it may be somebody else's that started in the same moment.
        BootstrapError: it cannot be made.
    """
    if path.exists():
        raise FileExistsError
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            draft.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        raise
    except OSError as error:
        raise BootstrapError(f"{path} cannot be written ({error.strerror}).") from error


async def _with_database(url: str, query: Callable[[Connection], bool], *, writes: bool = False) -> bool:
    database = open_database(url)
    await database.start()
    try:
        return bool(await (database.write(query) if writes else database.read(query)))
    finally:
        await database.close()


def _has_users(connection: Connection) -> bool:
    return connection.execute(select(users.c.id).limit(1)).first() is not None


def _add_admin(connection: Connection, hashed: str, now: float) -> None:
    row = {
        "name": ADMIN,
        "email": "",
        "password": hashed,
        "admin": True,
        "disabled": False,
        "source": "local",
        "epoch": 0,
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
    connection.execute(insert(users).values(row))
    record(connection, AuditEntry("user.create", OK, SYSTEM, "user", ADMIN, detail={"admin": True}), now)
