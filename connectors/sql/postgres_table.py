"""What PostgreSQL says about a table, beyond its columns: how rows get into it, and what they can be recognised by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from .insert import named_table

__all__ = ["PostgresTable", "look_at", "server_encoding"]

_TABLE = text(
    "SELECT pg_relation_is_updatable(oid, true) & (1 << 3) <> 0,"  # An INSERT is the third kind of command.
    " relkind IN ('r', 'p') AND NOT row_security_active(oid) AND NOT relhasrules,"
    " EXISTS (SELECT FROM pg_rewrite WHERE ev_class = pg_class.oid AND ev_type IN ('2', '3')) "
    "FROM pg_class WHERE oid = to_regclass(:name)"
)
_INDEXES = text(
    "SELECT indimmediate, ARRAY("
    "SELECT attname::text FROM pg_attribute"
    " WHERE attrelid = indrelid AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1])"
    ") FROM pg_index WHERE indrelid = to_regclass(:name)"
    " AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL"
)


@dataclass(frozen=True, slots=True)
class PostgresTable:
    """What PostgreSQL says about a table or view.

    Attributes:
        takes_rows: Whether rows can be inserted: not into a view without a single table, or a trigger, behind it.
        copies: Whether COPY does what INSERT does. It knows nothing of row-level security and rules, and writes to
            views only by triggers of their own.
        has_rules: Whether rules change what an INSERT or UPDATE does; then PostgreSQL refuses upserts.
        is_unique: Whether an upsert can recognise rows by the columns that were asked for.
        is_deferrable: Whether such an upsert is refused because a constraint on these columns is deferrable.
    """

    takes_rows: bool
    copies: bool
    has_rules: bool
    is_unique: bool
    is_deferrable: bool


async def look_at(connection: AsyncConnection, table: str, schema: str | None, key: Sequence[str]) -> PostgresTable:
    """Return what PostgreSQL says about a table that is there.

    Args:
        connection: A connection; nothing is changed.
        table: The table.
        schema: Its schema; None for the default.
        key: The columns that rows shall be recognised by.
    """
    name = {"name": connection.dialect.identifier_preparer.format_table(named_table(table, schema))}
    takes_rows, copies, has_rules = (await connection.execute(_TABLE, name)).one()
    indexes = (await connection.execute(_INDEXES, name)).all()
    # PostgreSQL takes all of them together, and refuses if one may wait until the end of the transaction.
    immediate = [immediate for immediate, columns in indexes if set(columns) == set(key)]
    return PostgresTable(takes_rows, copies, has_rules, bool(immediate), is_deferrable=not all(immediate))


async def server_encoding(connection: AsyncConnection) -> str:
    """Return the encoding of the database, as PostgreSQL calls it."""
    return str((await connection.exec_driver_sql("SHOW server_encoding")).scalar())
