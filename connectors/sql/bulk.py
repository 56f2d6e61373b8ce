"""How many rows are written at once.

    executemany     one statement, prepared once, with all rows: what every driver has
    COPY            PostgreSQL's way to load: almost four times as fast, but it can only add rows
    COPY, upsert    into a table that lives as long as the transaction, and from there in one statement

The last pays from about a thousand rows on: making a table takes a millisecond or two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ClauseElement, text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from .insert import insert_rows, named_table, upsert_from, upsert_rows
from .rows import Rows

__all__ = ["Bulk", "Copy", "CopyUpsert", "ExecuteMany"]


class Bulk(ABC):
    """Writes rows in the transaction of a connection."""

    @abstractmethod
    async def write(self, connection: AsyncConnection, rows: Rows) -> None:
        """Write rows."""


class ExecuteMany(Bulk):
    """Runs a statement for each row.

    Args:
        table: The table.
        schema: Its schema; None for the default.
        key: The columns that rows are recognised by; if empty, rows are only added.
        statement: A statement to run instead, with a named parameter for each column.
    """

    def __init__(
        self, table: str, schema: str | None, key: Sequence[str] = (), *, statement: str | None = None
    ) -> None:
        self._table = table
        self._schema = schema
        self._key = key
        self._statement = statement

    async def write(self, connection: AsyncConnection, rows: Rows) -> None:
        """Write rows."""
        compiled: Any = self._clause(rows.columns, connection.dialect).compile(dialect=connection.dialect)
        # Past SQLAlchemy's own handling of parameters, which takes longer for a row than the database does.
        if compiled.positional:
            values = dict(zip(rows.columns, rows.values, strict=True))
            parameters: Any = list(zip(*(values[name] for name in compiled.positiontup or ()), strict=True))
        else:
            parameters = [dict(zip(rows.columns, row, strict=True)) for row in zip(*rows.values, strict=True)]
        await connection.exec_driver_sql(str(compiled), parameters)

    def _clause(self, columns: Sequence[str], dialect: Dialect) -> ClauseElement:
        if self._statement is not None:
            return text(self._statement)
        table = named_table(self._table, self._schema, columns)
        return upsert_rows(table, self._key, dialect.name) if self._key else insert_rows(table)


class Copy(Bulk):
    """Adds rows by asyncpg's COPY.

    Args:
        table: The table.
        schema: Its schema; None for the default.
    """

    def __init__(self, table: str, schema: str | None) -> None:
        self._table = table
        self._schema = schema

    async def write(self, connection: AsyncConnection, rows: Rows) -> None:
        """Write rows."""
        await copy(connection, self._table, self._schema, rows)


class CopyUpsert(Bulk):
    """Upserts rows by asyncpg's COPY into a table beside.

    Args:
        table: The table.
        schema: Its schema; None for the default.
        key: The columns that rows are recognised by.
    """

    _BESIDE = "streamproc_rows"
    """The table beside; it belongs to the connection, and other connections have another of this name."""
    FEW = 1_000
    """Up to how many rows a statement for each is faster."""

    def __init__(self, table: str, schema: str | None, key: Sequence[str]) -> None:
        self._table = table
        self._schema = schema
        self._key = key
        self._one_by_one = ExecuteMany(table, schema, key)

    async def write(self, connection: AsyncConnection, rows: Rows) -> None:
        """Write rows."""
        if len(rows.values[0]) <= self.FEW:
            await self._one_by_one.write(connection, rows)
            return
        target = named_table(self._table, self._schema, rows.columns)
        columns = target.select().compile(dialect=connection.dialect)
        await connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE {self._BESIDE} ON COMMIT DROP AS {columns} WITH NO DATA"
        )
        await copy(connection, self._BESIDE, "pg_temp", rows)
        quote = connection.dialect.identifier_preparer
        await connection.exec_driver_sql(upsert_from(f"pg_temp.{self._BESIDE}", target, self._key, quote))
        await connection.exec_driver_sql(f"DROP TABLE pg_temp.{self._BESIDE}")


async def copy(connection: AsyncConnection, table: str, schema: str | None, rows: Rows) -> None:
    """Copy rows on the driver's own connection; its transaction must have begun."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    records = zip(*rows.values, strict=True)
    try:
        await driver.copy_records_to_table(table, schema_name=schema, columns=rows.columns, records=records)
    except (TypeError, ValueError, OverflowError) as error:
        # What the driver can't encode; as SQLAlchemy says it of other statements.
        raise StatementError(str(error), None, None, error) from error
