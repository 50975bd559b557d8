"""What a driver's exception means to whoever asked."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from moorage.core.errors import RegistryError, StorageFull, Unavailable

TRANSIENT_STATES = frozenset({"40001", "40P01", "23503"})
"""PostgreSQL: serialization failure, deadlock, and a row that was named and deleted by somebody else in the same moment
(foreign key); the transaction may simply be run again."""

_LOST = frozenset({"40001", "40P01"})

_FULL = ("disk is full", "No space left")


def meaning_of(error: Exception) -> Exception:
    """The error to raise in place of a driver's: ours where it is one of operation, the same one where it is a bug."""
    if isinstance(error, RegistryError):
        return error
    cause: BaseException = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = str(cause)
    if any(word in text for word in _FULL) or getattr(cause, "sqlstate", "") in ("53100", "53200"):
        return StorageFull()
    if isinstance(cause, sqlite3.OperationalError | OSError | TimeoutError) or getattr(cause, "sqlstate", "") in _LOST:
        return Unavailable()
    if type(cause).__module__.startswith(("asyncpg", "sqlalchemy.dialects.postgresql")) and _is_operational(cause):
        return Unavailable()
    if isinstance(error, SQLAlchemyError) and "timeout" in type(error).__name__.lower():
        return Unavailable()
    return error


def is_transient(error: Exception) -> bool:
    """Whether running the same transaction again may succeed."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) in TRANSIENT_STATES


def _is_operational(cause: BaseException) -> bool:
    state = getattr(cause, "sqlstate", None)
    # Class 08 connection, 53 resources, 57 operator (shutdown), 58 system; no state at all: the connection is gone.
    return state is None or str(state)[:2] in ("08", "25", "53", "57", "58", "3D", "28")
