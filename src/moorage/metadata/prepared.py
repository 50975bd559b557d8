"""Statements on the way of a push, written by SQLAlchemy once and then run without it.

Building, caching and executing a statement through SQLAlchemy costs about 80 microseconds, SQLite's own part of it 5.
A push of an image runs some sixty, so that on SQLite their text goes straight to the driver (docs/adr/0003). PostgreSQL
runs the same statement through SQLAlchemy: there the way to the server is what takes the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ClauseElement, Connection, Executable, Table

    MakeInsert = Callable[[Table], Insert]


class Prepared:
    """One statement for both databases.

    Args:
        build: makes it; is given the dialect's own `insert`, which can say `on_conflict_...`.
        parameters: names of its `bindparam`s in the order in which the values are given. A name ends with `_`, because
            those of columns are SQLAlchemy's own.
    """

    __slots__ = ("_build", "_order", "_parameters", "_statement", "_text")

    def __init__(self, build: Callable[[MakeInsert], Executable], *parameters: str) -> None:
        self._build = build
        self._parameters = parameters
        self._text = ""
        self._order: tuple[int, ...] = ()
        self._statement: Executable | None = None

    def row(self, connection: Connection, *values: object) -> tuple[Any, ...] | None:
        """The first row of a SELECT, or None."""
        if connection.dialect.name == "sqlite":
            found: tuple[Any, ...] | None = self._on_sqlite(connection, values).fetchone()
            return found
        row = self._on_postgres(connection, values).first()
        return tuple(row) if row is not None else None

    def rows(self, connection: Connection, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a SELECT that finds few."""
        if connection.dialect.name == "sqlite":
            found: list[tuple[Any, ...]] = self._on_sqlite(connection, values).fetchall()
            return found
        return [tuple(row) for row in self._on_postgres(connection, values)]

    def count(self, connection: Connection, *values: object) -> int:
        """Run a change; how many rows it touched."""
        if connection.dialect.name == "sqlite":
            return int(self._on_sqlite(connection, values).rowcount)
        return int(self._on_postgres(connection, values).rowcount)

    def many(self, connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Run a change once for each of some rows of values."""
        if connection.dialect.name == "sqlite":
            text = self._for_sqlite(connection)
            driver: Any = connection.connection.dbapi_connection
            driver.executemany(text, [[values[place] for place in self._order] for values in rows])
        else:
            given = [dict(zip(self._parameters, values, strict=True)) for values in rows]
            connection.execute(self._for_postgres(), given)

    def _on_sqlite(self, connection: Connection, values: tuple[object, ...]) -> Any:
        text = self._for_sqlite(connection)
        driver: Any = connection.connection.dbapi_connection
        return driver.execute(text, [values[place] for place in self._order])

    def _for_sqlite(self, connection: Connection) -> str:
        if not self._text:
            statement = cast("ClauseElement", self._build(sqlite_insert))
            compiled = statement.compile(dialect=connection.dialect)
            places = getattr(compiled, "positiontup", None) or []
            self._order = tuple(self._parameters.index(name) for name in places)
            self._text = str(compiled)
        return self._text

    def _on_postgres(self, connection: Connection, values: tuple[object, ...]) -> Any:
        return connection.execute(self._for_postgres(), dict(zip(self._parameters, values, strict=True)))

    def _for_postgres(self) -> Executable:
        if self._statement is None:
            # PostgreSQL's insert has the same methods; SQLAlchemy gives the two no common type.
            self._statement = self._build(postgres_insert)  # type: ignore[arg-type]
        return self._statement
