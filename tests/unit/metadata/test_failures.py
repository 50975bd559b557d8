"""What a driver's exception means: ours where it is one of operation, itself where it is a bug, never "absent"."""

from __future__ import annotations

import sqlite3

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from moorage.core.errors import ManifestUnknown, StorageFull, Unavailable
from moorage.metadata.failures import is_transient, meaning_of


def wrapped(cause: BaseException, kind: type[DBAPIError] = DBAPIError) -> DBAPIError:
    return kind("SELECT", {}, cause)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(
    "cause",
    [
        sqlite3.OperationalError("database is locked"),
        sqlite3.OperationalError("disk I/O error"),
        sqlite3.OperationalError("unable to open database file"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError(),
        OSError(5, "Input/output error"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.TooManyConnectionsError("too many"),
        asyncpg.AdminShutdownError("terminating"),
        asyncpg.ConnectionDoesNotExistError("closed"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InvalidCatalogNameError("no such database"),
        asyncpg.InvalidPasswordError("wrong"),
        asyncpg.ReadOnlySQLTransactionError("a standby"),
        asyncpg.DeadlockDetectedError("lost six times"),
        asyncpg.SerializationError("lost six times"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_does_not_answer(cause: Exception, wrap: bool) -> None:
    assert isinstance(meaning_of(wrapped(cause) if wrap else cause), Unavailable)


def test_waiting_too_long_for_a_connection() -> None:
    assert isinstance(meaning_of(PoolTimeout("QueuePool limit reached")), Unavailable)


@pytest.mark.parametrize(
    "cause",
    [
        sqlite3.OperationalError("database or disk is full"),
        asyncpg.DiskFullError("No space left on device"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_room(cause: Exception) -> None:
    assert isinstance(meaning_of(cause), StorageFull)
    assert isinstance(meaning_of(wrapped(cause)), StorageFull)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        sqlite3.IntegrityError("FOREIGN KEY constraint failed"),
        wrapped(sqlite3.IntegrityError("UNIQUE constraint failed"), IntegrityError),
        wrapped(asyncpg.UndefinedTableError("no such table"), ProgrammingError),
        asyncpg.UniqueViolationError("duplicate key"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_stays_what_it_is(error: Exception) -> None:
    assert meaning_of(error) is error


def test_what_has_a_meaning_keeps_it() -> None:
    error = ManifestUnknown()
    assert meaning_of(error) is error


@pytest.mark.parametrize(
    ("cause", "again"),
    [
        (asyncpg.DeadlockDetectedError("deadlock"), True),
        (asyncpg.SerializationError("lost"), True),
        (asyncpg.ForeignKeyViolationError("deleted in the same moment"), True),
        (asyncpg.UniqueViolationError("duplicate"), False),
        (asyncpg.AdminShutdownError("terminating"), False),
        (sqlite3.OperationalError("database is locked"), False),
        (ZeroDivisionError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_worth_another_try(cause: Exception, again: bool) -> None:
    assert is_transient(cause) is again
    assert is_transient(wrapped(cause)) is again
