"""`Postgres`: a schema of a test's own, seen by another client than the one that is tested."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from streamproc.eventtime.clock import SystemClock

__all__ = ["Postgres"]

_SECONDS = 60


class Postgres:
    """A schema, and a connection that reads and changes it, each statement a transaction.

    Args:
        url: The database.
        schema: The schema; None for that of the connection.
    """

    def __init__(self, url: str, schema: str | None = None) -> None:
        self.url = url
        self.schema = schema
        self._connection = psycopg.connect(url, autocommit=True)
        if schema is not None:
            self._connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))

    @classmethod
    @contextmanager
    def with_schema(cls, url: str) -> Generator[Postgres]:
        """Make a schema with a new name, and drop it in the end."""
        schema = f"test_{uuid4().hex[:12]}"
        name = sql.Identifier(schema)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            try:
                with cls(url, schema) as postgres:
                    yield postgres
            finally:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return what a query returns; ``%s`` stands for a parameter."""
        return self._connection.execute(query.encode(), parameters or None).fetchall()

    def run(self, statement: str, *parameters: Any) -> None:
        """Run a statement."""
        self._connection.execute(statement.encode(), parameters or None)

    async def until_waiting(self, count: int, waiting_for: str = "Lock") -> None:
        """Return once so many other connections to the database wait for something; see `backends`."""
        # PostgreSQL tells only who asks.
        clock = SystemClock()
        async with asyncio.timeout(_SECONDS):
            while len(self.backends(waiting_for)) < count:
                await clock.sleep_until(clock.now() + 10)

    def backends(self, waiting_for: str | None = None) -> list[int]:
        """Return the processes of other connections to the database; of those only which wait for something.

        Args:
            waiting_for: What they wait for, as ``pg_stat_activity.wait_event_type`` calls it.
        """
        query = (
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        if waiting_for is not None:
            return [pid for (pid,) in self.rows(f"{query} AND wait_event_type = %s", waiting_for)]
        return [pid for (pid,) in self.rows(query)]

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def __enter__(self) -> Postgres:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
