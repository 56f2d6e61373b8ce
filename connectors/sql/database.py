"""`Database`: the one connection of a writer, a transaction at a time, and the patience to try again.

A connection on which anything went wrong is closed, whatever it was: then its transaction ends at the server, and the
next one begins on a connection that is known to be in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from streamproc.errors import SinkError
from streamproc.io.sink import SinkContext

from .address import shown_address
from .failure import message_of, passes

__all__ = ["Database", "driver_errors"]

T = TypeVar("T")

_PAUSES_MS = (50, 100, 200, 500, 1_000, 2_000, 5_000)
"""How long to wait before a further attempt; then always the last."""

_LOCK_MS = 10_000
"""How long to wait for a lock before it is reported; shorter where a transaction may not take twice as long."""

_CLOSE_SECONDS = 5.0
"""How long closing a connection may take."""

_BEGIN = {
    # The lock for writing at once: one that is wanted later can be refused without waiting.
    "sqlite": "BEGIN IMMEDIATE",
    # A transaction whose client is gone without a word must not hold its locks for ever. While the server waits for the
    # rest of a COPY it is not idle: there TCP has to ask whether anybody is left. And what is acknowledged must be on
    # the disk, for the job forgets it.
    "postgresql": (
        "SELECT set_config('lock_timeout', '{lock_ms}', true),"
        " set_config('idle_in_transaction_session_timeout', '60000', true),"
        " set_config('tcp_keepalives_idle', '30', true),"
        " set_config('tcp_keepalives_interval', '10', true),"
        " set_config('tcp_keepalives_count', '3', true),"
        " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)"
    ),
}
"""With what a transaction begins, by dialect."""


class Database:
    """The database of one writer.

    Args:
        url: Where it is.
        timeout: How many seconds a transaction may take.
        context: What the engine gives the writer.
    """

    def __init__(self, url: URL, timeout: float, context: SinkContext) -> None:
        self.address = shown_address(url)
        """What may be shown of the URL."""
        self._timeout = timeout
        # Zero would be no limit.
        self._lock_ms = max(1, min(_LOCK_MS, round(timeout * 500)))
        self._by_network = url.host is not None
        self._context = context
        self._errors = driver_errors(url)
        self._engine = create_async_engine(
            url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, hide_parameters=True
        )
        if self.dialect.name == "sqlite":
            _prepare_sqlite(self._engine, self._lock_ms)

    @property
    def dialect(self) -> Dialect:
        """What SQLAlchemy knows about the kind of database and its driver."""
        return self._engine.dialect

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """Begin a transaction, and commit it in the end unless an exception comes out of it."""
        async with asyncio.timeout(self._timeout):
            try:
                connection = await self._engine.connect()
            except (TypeError, ValueError) as error:
                if isinstance(error, OSError):
                    raise  # A certificate that can't be verified is both.
                # Not as the cause, which could repeat the URL.
                raise SinkError(f"{self.address} can't be opened by the options of its URL: {error}") from None
            try:
                if begin := _BEGIN.get(self.dialect.name):
                    await connection.exec_driver_sql(begin.format(lock_ms=self._lock_ms))
                yield connection
                await connection.commit()
            except BaseException:
                await connection.invalidate()
                raise
            finally:
                await connection.close()

    async def patiently(self, attempt: Callable[[], Awaitable[T]], what: str, *, until: int | None = None) -> T:
        """Return what an attempt returns, tried again for as long as what hinders it may pass.

        Args:
            attempt: What to do. It may have been done when it fails.
            what: What it is, for errors.
            until: When to give up, in epoch milliseconds; None for never.

        Raises:
            SinkError: It will not work, or has not worked in time.
        """
        clock = self._context.clock
        tried = 0
        while True:
            try:
                result = await attempt()
            except self._errors as error:
                if not passes(error, by_network=self._by_network) or (until is not None and clock.now() >= until):
                    raise SinkError(
                        f"sink {self._context.name!r} can't {what} in {self.address}: {message_of(error)}"
                    ) from error
                self._context.blocked(f"{self.address}: {message_of(error)}")
                await clock.sleep_until(clock.now() + _PAUSES_MS[min(tried, len(_PAUSES_MS) - 1)])
                tried += 1
            else:
                self._context.blocked(None)
                return result

    async def close(self) -> None:
        """Close the connection, also if the server doesn't answer."""
        # Nothing depends on a farewell: drivers drop a connection whose closing is cancelled.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._timeout, _CLOSE_SECONDS)):
                await self._engine.dispose()


def driver_errors(url: URL) -> tuple[type[Exception], ...]:
    """Return what SQLAlchemy and a driver raise when a database or the way to it fails."""
    if url.get_driver_name() != "asyncpg":
        return SQLAlchemyError, OSError, TimeoutError
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415  # an extra  # pyright: ignore[reportMissingTypeStubs]

    # Its own are seen where it copies.
    return SQLAlchemyError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError


def _prepare_sqlite(engine: AsyncEngine, lock_ms: int) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        # Transactions begin where this package says so; sqlite3 by itself would begin some and not others.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {lock_ms}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA page_count")
        if cursor.fetchone() == (0,):
            # A new file: its readers need not wait for the writer, nor the writer for them.
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()
