"""The statements that write rows. Names are quoted and values are bound: neither becomes a part of SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import sqlalchemy
from sqlalchemy import ColumnClause, TableClause
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.sql.compiler import IdentifierPreparer
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import quoted_name

__all__ = ["UPSERT_DIALECTS", "insert_rows", "named_table", "upsert_from", "upsert_rows"]

UPSERT_DIALECTS = ("postgresql", "sqlite", "mysql", "mariadb")
"""The dialects for which there is an upsert."""

_Column: TypeAlias = ColumnClause[Any]


def named_table(table: str, schema: str | None, columns: Sequence[str] = ()) -> TableClause:
    """Return a table whose columns have no types, so that values go to the driver as they are."""
    return sqlalchemy.table(_quoted(table), *map(_column, columns), schema=None if schema is None else _quoted(schema))


def insert_rows(table: TableClause) -> Insert:
    """Return a statement that adds a row."""
    return sqlalchemy.insert(table)


def upsert_rows(table: TableClause, key: Sequence[str], dialect: str) -> Insert:
    """Return a statement that adds a row, or changes the row that has its key.

    Args:
        table: The table with the columns to write.
        key: Those that a row is recognised by.
        dialect: One of `UPSERT_DIALECTS`.
    """
    values = [name for name in table.columns.keys() if name not in key]  # noqa: SIM118  # no dict
    if dialect in ("mysql", "mariadb"):
        changing = mysql.insert(table)
        return changing.on_duplicate_key_update({name: changing.inserted[name] for name in values or key})
    adding = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys: list[_Column] = [_column(name) for name in key]
    if not values:
        return adding.on_conflict_do_nothing(index_elements=keys)
    return adding.on_conflict_do_update(
        index_elements=keys, set_={_quoted(name): adding.excluded[name] for name in values}
    )


def upsert_from(source: str, table: TableClause, key: Sequence[str], quote: IdentifierPreparer) -> str:
    """Return PostgreSQL's statement that upserts the rows of another table; of those with one key the last.

    Args:
        source: The table to read, as SQL; rows were only ever added to it.
        table: The table to write, with the columns that both have.
        key: Those that a row is recognised by.
        quote: What quotes names.
    """
    names = list(table.columns.keys())
    columns, keys = (", ".join(map(quote.quote_identifier, some)) for some in (names, key))
    changes = ", ".join(
        f"{quote.quote_identifier(name)} = excluded.{quote.quote_identifier(name)}" for name in names if name not in key
    )
    # In the order of the key: writers of the same rows then wait for each other, and don't block each other for good.
    # A row's ctid is its place in the table.
    return (
        f"INSERT INTO {quote.format_table(table)} ({columns}) "  # noqa: S608
        f"SELECT DISTINCT ON ({keys}) {columns} FROM {source} ORDER BY {keys}, ctid DESC "
        f"ON CONFLICT ({keys}) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"
    )


def _column(name: str) -> _Column:
    return sqlalchemy.column(_quoted(name))


def _quoted(name: str) -> quoted_name:
    return quoted_name(name, quote=True)
