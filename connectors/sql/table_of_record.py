"""The table that `SqlSink` makes for a `Record` type."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import inspect
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Time,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import TypeEngine

from streamproc.errors import PipelineError

__all__ = ["table_of_record"]

_Type: TypeAlias = TypeEngine[Any]

# SQLite's own types are few: what it has none for is text, which orders and compares as it should; a number would lose
# digits of decimals.
_JSON: _Type = JSON().with_variant(JSONB(), "postgresql").with_variant(Text(), "sqlite")
_TYPES: dict[type[inspect.Type], _Type] = {
    inspect.BoolType: Boolean(),
    inspect.IntType: BigInteger(),
    inspect.FloatType: Double(),
    inspect.StrType: Text(),
    inspect.BytesType: LargeBinary(),
    inspect.ByteArrayType: LargeBinary(),
    inspect.DateType: Date().with_variant(Text(), "sqlite"),
    inspect.TimeType: Time().with_variant(Text(), "sqlite"),
    inspect.TimeDeltaType: Interval().with_variant(Double(), "sqlite"),
    inspect.UUIDType: Uuid().with_variant(Text(), "sqlite"),
    inspect.DecimalType: Numeric().with_variant(Text(), "sqlite"),
    inspect.ListType: _JSON,
    inspect.DictType: _JSON,
    inspect.SetType: _JSON,
    inspect.FrozenSetType: _JSON,
    inspect.VarTupleType: _JSON,
    inspect.TupleType: _JSON,
    inspect.StructType: _JSON,
    inspect.DataclassType: _JSON,
    inspect.NamedTupleType: _JSON,
    inspect.TypedDictType: _JSON,
    inspect.AnyType: _JSON,
}


def table_of_record(record: type[Any], name: str, *, schema: str | None, key: tuple[str, ...]) -> Table:
    """Return a table with a column for each field.

    int is BIGINT, float DOUBLE PRECISION, str TEXT, bytes BYTEA or BLOB, Decimal NUMERIC, a datetime has a time zone
    (unless the field is declared with ``msgspec.Meta(tz=False)``), and what consists of parts is JSONB or JSON. A
    column is NOT NULL unless the field may be None.

    Args:
        record: A `Record` or another msgspec Struct.
        name: The table.
        schema: Its schema; None for the default.
        key: Its primary key, if any.

    Raises:
        PipelineError: A field has a type without a column type, or a field of the key may be None.
    """
    if not (isinstance(record, type) and issubclass(record, msgspec.Struct)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PipelineError(f"SqlSink(create={record!r}): expected a Record type")
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    columns: list[Column[Any]] = []
    for field in info.fields:
        where = f"SqlSink(create={record.__name__}): field {field.encode_name!r}"
        kind, nullable = _column_type(field.type, where)
        is_key = field.encode_name in key
        if is_key and nullable:
            raise PipelineError(f"{where} is a part of the key and may be None: a primary key can't be NULL")
        if is_key and isinstance(kind, Text):
            kind = kind.with_variant(String(255), "mysql", "mariadb")  # whose keys have a limit
        column = quoted_name(field.encode_name, quote=True)
        columns.append(Column(column, kind, primary_key=is_key, nullable=nullable, autoincrement=False))
    if missing := [name for name in key if name not in {field.encode_name for field in info.fields}]:
        raise PipelineError(f"SqlSink(key={key!r}): {record.__name__} has no field {missing[0]!r}")
    return Table(quoted_name(name, quote=True), MetaData(), *columns, schema=schema and quoted_name(schema, quote=True))


def _column_type(kind: inspect.Type, where: str) -> tuple[_Type, bool]:
    """Return the type of a column, and whether it may be NULL."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        parts = [part for part in kind.types if not isinstance(part, inspect.NoneType)]
        found = {repr(_column_type(part, where)[0]): _column_type(part, where)[0] for part in parts}
        if {type(part) for part in parts} == {inspect.IntType, inspect.FloatType}:
            return Double(), kind.includes_none
        if len(found) != 1:
            raise PipelineError(f"{where} has values of several types, and a column has one: make the table yourself")
        return next(iter(found.values())), kind.includes_none
    if isinstance(kind, inspect.DateTimeType):
        return DateTime(timezone=kind.tz is not False).with_variant(Text(), "sqlite"), False
    if isinstance(kind, inspect.EnumType):
        return _of_values([member.value for member in kind.cls], where), False
    if isinstance(kind, inspect.LiteralType):
        return _of_values(list(kind.values), where), False
    if type(kind) not in _TYPES:
        raise PipelineError(
            f"{where} has a type that no column is made for ({type(kind).__name__}): make the table yourself, or use "
            f"bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal, UUID, or what JSON can hold"
        )
    return _TYPES[type(kind)], isinstance(kind, inspect.AnyType)


def _of_values(values: list[Any], where: str) -> _Type:
    if all(isinstance(value, str) for value in values):
        return Text()
    if all(type(value) is int for value in values):
        return BigInteger()
    raise PipelineError(f"{where} is of an enum or Literal of mixed values: expected all text or all int")
