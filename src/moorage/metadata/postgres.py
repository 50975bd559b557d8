"""PostgreSQL through asyncpg: SQLAlchemy for queries and changes, the driver's own pool for the hottest lookups."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from moorage.metadata.database import ignore
from moorage.metadata.failures import is_transient, meaning_of
from moorage.telemetry.probe import no_probe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from moorage.metadata.database import Lookup, Observe, Row
    from moorage.telemetry.probe import Probe

T = TypeVar("T")

POOL_SIZE = 8
"""Connections of one worker for changes and lists, and as many again for lookups."""

LOOKUP_SECONDS = 5.0
"""A lookup that takes longer, waiting for a connection or opening one included, is given up: 503."""

COMMAND_SECONDS = 10.0
"""The same for any other statement, without these."""

CONNECT_SECONDS = 5.0
"""For one of the connections in use to become free, and as long again to open one."""

CLOSE_SECONDS = 2.0
"""After that, connections are closed without a word to the server."""

MIGRATION_SECONDS = 30.0
"""For a statement that changes the schema, and for another instance to be done with that."""

_RELAXED = text("SET LOCAL synchronous_commit TO off")

RETRIES = 5
"""How often a transaction that lost against another one is run again."""


def engine(url: str, seconds: float = MIGRATION_SECONDS, **options: Any) -> AsyncEngine:
    """SQLAlchemy's engine for a URL with libpq's own options (`sslmode`, ...), which asyncpg reads.

    seconds: that a statement may take.
    """

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=seconds)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **options)


class PostgresDatabase:
    """`Database` on a PostgreSQL server, shared by all instances.

    Args:
        url: `postgresql://user:password@host:port/database`.
        observe: told `read`, `write` or `lookup`, and its duration in seconds.
        probe: told each commit.
    """

    def __init__(self, url: str, observe: Observe = ignore, probe: Probe = no_probe) -> None:
        self._url = url
        self._observe = observe
        self._probe = probe
        self._engine: AsyncEngine
        self._reader: AsyncEngine
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """Prepare the pools; connections are made when first needed, so that a server that is down gives 503."""
        self._engine = engine(
            self._url, COMMAND_SECONDS, pool_size=POOL_SIZE, max_overflow=0, pool_timeout=CONNECT_SECONDS
        )
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        """Close all connections, those to a server that does not answer, too."""
        if self._pool is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._pool.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._engine.dispose()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a reading query on a connection of the pool; a connection that was cut is replaced once."""
        begun = time.perf_counter()
        attempt = 0
        try:
            while True:
                try:
                    async with _connected(self._reader) as connection:
                        return await connection.run_sync(query)
                except Exception as error:
                    attempt += 1
                    if not _broken_before_use(error, attempt):
                        raise meaning_of(error) from error
        finally:
            self._observe("read", time.perf_counter() - begun)

    async def write(self, change: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run a change in a transaction, again where it lost against another one."""
        begun = time.perf_counter()
        attempt = 0
        try:
            while True:
                try:
                    return await self._transaction(change, durable=durable)
                except Exception as error:
                    attempt += 1
                    if attempt > RETRIES or not (is_transient(error) or _broken_before_use(error, attempt)):
                        raise meaning_of(error) from error
        finally:
            self._observe("write", time.perf_counter() - begun)

    async def _transaction(self, change: Callable[[Connection], T], *, durable: bool) -> T:
        async with _connected(self._engine) as connection:
            if not durable:
                await connection.execute(_RELAXED)
            result = await connection.run_sync(change)
            self._probe("commit")
            try:
                await connection.commit()
            except Exception as error:
                if is_transient(error):
                    raise
                # Whether it was done is not known: run again it would find its own work and say "not found".
                raise meaning_of(error) from error
        self._probe("commit-done")
        return result

    async def lookup(self, query: Lookup, *values: object) -> Row | None:
        """Run a hot query on the driver."""
        statement, order = query.compile(self._engine.dialect)
        if order is not None:
            values = tuple(values[place] for place in order)
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return cast("Row | None", await _first(self._pool or await self._open(), statement, values))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # The last: the server's farewell came to a connection that was just given a statement.
            raise meaning_of(error) from error
        finally:
            self._observe("lookup", time.perf_counter() - begun)

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=POOL_SIZE,
                    timeout=CONNECT_SECONDS,
                    command_timeout=LOOKUP_SECONDS,
                )
            return self._pool


async def _first(pool: asyncpg.Pool[asyncpg.Record], statement: str, values: Sequence[object]) -> object:
    connection = await pool.acquire()
    try:
        return await connection.fetchrow(statement, *values)
    except (TimeoutError, asyncio.CancelledError):
        # The pool would wait until the server has heard that the statement is given up.
        connection.terminate()
        raise
    finally:
        await pool.release(connection)


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection of the pool. One that was given up on is closed at once: to give it back waits for it again."""
    async with engine.connect() as connection:
        try:
            yield connection
        except BaseException as error:
            if _stood_still(error) and not connection.invalidated:
                raw = await connection.get_raw_connection()
                cast("asyncpg.Connection[asyncpg.Record]", raw.driver_connection).terminate()
                await connection.invalidate()
            raise


def _stood_still(error: BaseException) -> bool:
    return isinstance(error, TimeoutError | asyncio.CancelledError) or isinstance(error.__cause__, TimeoutError)


def _broken_before_use(error: Exception, attempt: int) -> bool:
    """A pooled connection that the server had closed meanwhile: it is replaced once; nothing was committed yet."""
    return attempt == 1 and getattr(error, "connection_invalidated", False) is True
