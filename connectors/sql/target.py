"""What rows are written to, a table or a user's statement, as the database describes it when the writer starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import Connection, inspect, text
from sqlalchemy import types as sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from streamproc.errors import EncodeError

from .column import ANYTHING, SQLITE, Column, column_of
from .postgres_table import look_at, server_encoding
from .rows import Rows

__all__ = ["Target", "TargetError", "check_encoding", "describe_statement", "describe_table"]

_Type: TypeAlias = TypeEngine[Any]

_PARAMETER_TYPES: Mapping[str, _Type] = {
    "bool": sql.Boolean(),
    "int2": sql.SmallInteger(),
    "int4": sql.Integer(),
    "int8": sql.BigInteger(),
    "float4": sql.REAL(),
    "float8": sql.Double(),
    "numeric": sql.Numeric(),
    "text": sql.Text(),
    "varchar": sql.Text(),
    "bpchar": sql.Text(),
    "bytea": sql.LargeBinary(),
    "uuid": sql.Uuid(),
    "date": sql.Date(),
    "time": sql.Time(),
    "timestamp": sql.DateTime(),
    "timestamptz": sql.DateTime(timezone=True),
    "interval": sql.Interval(),
    "json": sql.JSON(),
    "jsonb": postgresql.JSONB(),
}
"""The types of a statement's parameters, by PostgreSQL's names."""


class TargetError(Exception):
    """What rows should be written to is not there, or is not as it must be; says what and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """What rows are written to.

    Attributes:
        name: How to call it in errors.
        columns: What each column, or parameter of a statement, takes.
        required: The columns that must have a value: NOT NULL and without a default.
        key: The columns that rows are recognised by. They must have a value too: NULLs are all different, or all the
            same, depending on how many rows are written at once.
        copies: Whether PostgreSQL's COPY can write to it.
    """

    name: str
    columns: Mapping[str, Column]
    required: frozenset[str] = frozenset()
    key: frozenset[str] = frozenset()
    copies: bool = False

    def checked(self, rows: Rows) -> Rows:
        """Return rows as the driver wants them.

        Raises:
            EncodeError: They can't be written.
        """
        values: list[list[Any]] = []
        for name, given in zip(rows.columns, rows.values, strict=True):
            column = self.columns.get(name)
            if column is None:
                raise EncodeError(
                    f"{self.name} has no column {name!r} that can be written; it has "
                    f"{', '.join(map(repr, self.columns))}. Choose those to write with columns=(…)"
                )
            try:
                stored = column.values(given)
            except EncodeError as error:
                raise EncodeError(f"{self.name}, column {name!r}: {error}") from None
            if name in self.key and None in stored:
                raise EncodeError(
                    f"{self.name}, column {name!r}: expected a value, got None: it is in the key= that rows are "
                    f"recognised by"
                )
            if name in self.required and None in stored:
                raise EncodeError(f"{self.name}, column {name!r}: expected a value, got None: it is NOT NULL")
            values.append(stored)
        if missing := self.key.difference(rows.columns):
            raise EncodeError(f"the row lacks {min(missing)!r}: it is in the key= that rows are recognised by")
        if missing := self.required.difference(rows.columns):
            raise EncodeError(f"the row lacks {min(missing)!r}: in {self.name} it is NOT NULL and has no default")
        return Rows(rows.columns, values)


async def check_encoding(connection: AsyncConnection) -> None:
    """Return if the database can hold every text.

    Raises:
        TargetError: It can't, so that it would refuse a text after the commit.
    """
    if connection.dialect.name == "postgresql" and (encoding := await server_encoding(connection)) != "UTF8":
        raise TargetError(
            f"the database's encoding is {encoding}, which can't hold every text: expected UTF8 (CREATE DATABASE … "
            f"ENCODING 'UTF8' TEMPLATE template0)"
        )


async def describe_table(connection: AsyncConnection, table: str, schema: str | None, *, key: Sequence[str]) -> Target:
    """Look at a table.

    Args:
        connection: A connection; nothing is changed.
        table: The table.
        schema: Its schema; None for the default.
        key: The columns that rows are recognised by; they need a primary key or a unique index of just these.

    Raises:
        TargetError: It isn't there, takes no rows, or lacks the key.
    """
    target = await connection.run_sync(_describe, table, schema, tuple(key))
    if connection.dialect.name != "postgresql":
        if key and not await connection.run_sync(_is_unique, table, schema, tuple(key)):
            raise _not_unique(target.name, key)
        return target
    found = await look_at(connection, table, schema, key)
    if not found.takes_rows:
        raise TargetError(
            f"nothing can be inserted into {target.name}: expected a table, or a view of a single one, or a view with "
            f"a trigger INSTEAD OF INSERT"
        )
    if key and found.has_rules:
        raise TargetError(
            f"{target.name} has rules for INSERT or UPDATE, with which PostgreSQL knows no upsert: make triggers of "
            f"them, or leave out key="
        )
    if key and not found.is_unique:
        raise _not_unique(target.name, key)
    if key and found.is_deferrable:
        raise TargetError(
            f"{target.name} has a DEFERRABLE constraint on ({', '.join(key)}), the key= of SqlSink: PostgreSQL "
            f"recognises no rows by one. Make one that isn't deferrable"
        )
    return replace(target, copies=found.copies and connection.dialect.driver == "asyncpg")


def _not_unique(name: str, key: Sequence[str]) -> TargetError:
    return TargetError(
        f"{name} has neither a primary key nor a unique index on ({', '.join(key)}), which is the key= of SqlSink: "
        f"make one, so that the database can recognise rows"
    )


def _describe(connection: Connection, table: str, schema: str | None, key: tuple[str, ...]) -> Target:
    inspector = inspect(connection)
    name = f"table {table!r}" if schema is None else f"table {table!r} of schema {schema!r}"
    try:
        described = inspector.get_columns(table, schema)
    except NoSuchTableError:
        raise TargetError(
            f"there is no {name}: make it, mend its name, or give SqlSink create= a Record type"
        ) from None
    primary = inspector.get_pk_constraint(table, schema)["constrained_columns"]
    dialect = connection.dialect.name
    columns: dict[str, Column] = {}
    required: set[str] = set()
    for column in described:
        if column.get("computed") or column.get("identity", {}).get("always"):
            continue
        columns[column["name"]] = (
            SQLITE if dialect == "sqlite" else column_of(column["type"], nul=dialect != "postgresql")
        )
        # SQLite numbers its rows by an INTEGER PRIMARY KEY.
        numbered = column.get("autoincrement") is True or (
            dialect == "sqlite" and primary == [column["name"]] and isinstance(column["type"], sql.INTEGER)
        )
        if not (column["nullable"] or column.get("default") is not None or column.get("identity") or numbered):
            required.add(column["name"])
    return Target(name, columns, frozenset(required), frozenset(key))


def _is_unique(connection: Connection, table: str, schema: str | None, key: tuple[str, ...]) -> bool:
    """Return whether a primary key or a unique index, for all rows, is on just these columns."""
    inspector = inspect(connection)
    constraints = [
        inspector.get_pk_constraint(table, schema)["constrained_columns"],
        *(constraint["column_names"] for constraint in inspector.get_unique_constraints(table, schema)),
    ]
    return any(set(columns) == set(key) for columns in constraints) or any(
        index["unique"]
        and set(index["column_names"]) == set(key)
        and not any(name.endswith("_where") for name in index.get("dialect_options", {}))
        for index in inspector.get_indexes(table, schema)
    )


async def describe_statement(connection: AsyncConnection, statement: str, parameters: Sequence[str]) -> Target:
    """Have the database look at a statement, as far as it can without running it.

    Args:
        connection: A connection; nothing is changed.
        statement: The statement.
        parameters: The names of its parameters.

    Raises:
        Exception: It is wrong; the driver's error.
    """
    dialect = connection.dialect
    columns = dict.fromkeys(parameters, SQLITE if dialect.name == "sqlite" else ANYTHING)
    compiled = text(statement).compile(dialect=dialect)
    if dialect.name == "sqlite":
        await connection.exec_driver_sql(f"EXPLAIN {compiled}", (None,) * len(compiled.positiontup or ()))
    elif dialect.driver == "asyncpg":
        driver: Any = (await connection.get_raw_connection()).driver_connection
        prepared = await driver.prepare(str(compiled))
        for name, kind in zip(compiled.positiontup or (), prepared.get_parameters(), strict=True):
            columns[name] = _parameter(kind)
    return Target("the statement", columns)


def _parameter(kind: Any) -> Column:
    """Return what a parameter takes whose type asyncpg describes."""
    name: str = kind.name
    is_array = kind.kind == "array"
    found = _PARAMETER_TYPES.get(name.removesuffix("[]") if is_array else name)
    if found is None:
        return ANYTHING
    return column_of(postgresql.ARRAY(found) if is_array else found, nul=False)
