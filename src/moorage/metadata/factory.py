"""From a URL to a database. The backends are imported by the wiring alone, and only the one that is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moorage.metadata.database import ignore
from moorage.telemetry.probe import no_probe

if TYPE_CHECKING:
    from moorage.metadata.database import Database, Observe
    from moorage.telemetry.probe import Probe

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


def open_database(url: str, observe: Observe = ignore, probe: Probe = no_probe) -> Database:
    """The database that a URL names: `sqlite:////absolute/file` or `postgresql://...`.

    Args:
        url: see above.
        observe: told `read`, `write` or `lookup`, and its duration in seconds.
        probe: told each commit.

    Raises:
        ValueError: another scheme.
    """
    if url.startswith(SQLITE):
        from moorage.metadata.sqlite import SqliteDatabase

        return SqliteDatabase(sqlite_path(url), observe, probe)
    if url.startswith(POSTGRES):
        from moorage.metadata.postgres import PostgresDatabase

        return PostgresDatabase(url, observe, probe)
    raise ValueError("The database URL must begin with sqlite:/// or postgresql://.")


def sqlite_path(url: str) -> Path:
    """The file that an SQLite URL names."""
    return Path(url[len(SQLITE) :])
