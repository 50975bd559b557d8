"""The port to the facts: one way to read, one to write, and one for the few hottest lookups.

A query is a plain synchronous function of a connection, so it is written once and runs in place on SQLite and inside
`run_sync` on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect, Select

T = TypeVar("T")
Row = tuple[object, ...]


class Observe(Protocol):
    """Is told what the database took."""

    def __call__(self, action: str, seconds: float, times: int = 1) -> None:
        """Count `action` (`read`, `write` or `lookup`) with its duration; it stands for so many of its kind."""
        ...


def ignore(action: str, seconds: float, times: int = 1) -> None:
    """Nobody counts."""


class Lookup:
    """A hot query of one row, compiled once and run straight on the driver.

    SQLAlchemy writes the text, so it is the same query on both databases; only its execution skips SQLAlchemy (38,000
    instead of 27,500 manifests a second on SQLite, see docs/adr/0003).

    Args:
        statement: a SELECT with named `bindparam`s.
        parameters: their names in the order in which `Database.lookup` is given the values.
        kept: whether the same is asked so often that the row may be kept in memory until the next commit.
    """

    __slots__ = ("_compiled", "_parameters", "_statement", "kept")

    def __init__(
        self, statement: Select[tuple[object, ...]], parameters: tuple[str, ...], *, kept: bool = False
    ) -> None:
        self.kept = kept
        self._statement = statement
        self._parameters = parameters
        self._compiled: dict[str, tuple[str, tuple[int, ...] | None]] = {}

    def compile(self, dialect: Dialect) -> tuple[str, tuple[int, ...] | None]:
        """The text for a dialect, and which of the given values goes to which place (None: they stand in order)."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self._statement.compile(dialect=dialect)
            places = getattr(compiled, "positiontup", None) or []
            order = tuple(self._parameters.index(name) for name in places)
            found = str(compiled), None if order == tuple(range(len(self._parameters))) else order
            self._compiled[dialect.name] = found
        return found


class Database(Protocol):
    """Where facts are kept.

    All methods raise `Unavailable` where the database does not answer and `StorageFull` where it has no room; never
    anything that could be read as "absent".
    """

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query`, which only reads, and return what it returns."""
        ...

    async def write(self, change: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run `change` in one transaction that is durable when this returns.

        What it raises undoes it and is raised here. It may be run again (a transaction that lost against another one
        on PostgreSQL), so it touches nothing else.

        Args:
            change: see above.
            durable: False for what may be lost with the machine's power (never with the process alone), such as how
                far an upload has come: it does not wait for the disk.
        """
        ...

    async def lookup(self, query: Lookup, *values: object) -> Row | None:
        """The first row of a hot query, or None."""
        ...

    async def start(self) -> None:
        """Open what needs the running event loop. Called once before any other method."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of everything."""
        ...
