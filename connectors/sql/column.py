"""What a column takes: which values it stores, and how the driver wants them.

All that a database would refuse is found here, before the commit, as far as a column's type tells: a value of another
type, a number out of range, a text that is too long. A refusal comes too late: the batch is committed by then.

Drivers get Python's own types. JSON is text for them, and enums are their values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_UP, Context, Decimal
from enum import Enum
from math import isnan
from typing import Any, TypeAlias, cast
from uuid import UUID

import msgspec
from sqlalchemy import types as sql
from sqlalchemy.dialects.postgresql import ARRAY, DOMAIN, INTERVAL, JSONB
from sqlalchemy.types import TypeEngine

from streamproc.errors import EncodeError

__all__ = ["ANYTHING", "SQLITE", "Column", "column_of"]

Convert: TypeAlias = Callable[[Any], Any]

_MOST_DIGITS, _MOST_DECIMALS = 131_071, 16_383
"""What PostgreSQL's NUMERIC holds: the largest exponent of a digit, and digits behind the point."""

_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX, rounding=ROUND_HALF_UP)
"""Rounds as databases do, and loses nothing else; that of a thread has 28 digits."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a column takes.

    Attributes:
        convert: Returns a value, which is not None, as the driver wants it, or raises `EncodeError`.
        native: A type whose values stay as they are, if they pass ``check``.
        check: Whether a list of such values, perhaps with None among them, can be stored.
    """

    convert: Convert
    native: type | None = None
    check: Callable[[list[Any]], bool] = lambda _: True

    def values(self, values: list[Any]) -> list[Any]:
        """Return values as the driver wants them.

        Raises:
            EncodeError: One can't be stored.
        """
        if set(map(type, values)) <= {self.native, type(None)} and self.check(values):
            return values
        convert = self.convert
        return [None if value is None else convert(value) for value in values]


def column_of(kind: TypeEngine[Any], *, nul: bool) -> Column:
    """Return what a column of a type takes.

    Args:
        kind: The type.
        nul: Whether text may hold the character NUL; PostgreSQL's may not.
    """
    match kind:
        case DOMAIN():
            return column_of(kind.data_type, nul=nul)
        case ARRAY():
            return _array(column_of(kind.item_type, nul=nul))
        case sql.Boolean():
            return Column(_boolean, bool)
        case sql.Integer():
            return _integer(_bits(kind))
        case sql.Float():
            return Column(_single if isinstance(kind, sql.REAL) or (kind.precision or 53) <= 24 else _float)
        case sql.Numeric():
            return Column(_decimal(kind.precision, kind.scale))
        case sql.Enum():
            return Column(_member(frozenset(kind.enums)))
        case sql.Uuid():
            return Column(_uuid, UUID)
        case sql.String():
            return _text(kind.length, nul=nul)
        case sql.LargeBinary() | sql.BINARY() | sql.VARBINARY():
            return Column(_bytes, bytes)
        case sql.DateTime():
            return Column(_aware if kind.timezone else _naive)
        case sql.Date():
            return Column(_date, date)
        case sql.Time():
            return Column(_time(aware=kind.timezone))
        case sql.Interval() | INTERVAL():
            return Column(_interval, timedelta)
        case sql.JSON():
            return Column(_json(nul=nul or not isinstance(kind, JSONB)))
        case _:
            return ANYTHING


def _bits(kind: TypeEngine[Any]) -> int:
    if isinstance(kind, sql.BigInteger):
        return 64
    return 16 if isinstance(kind, sql.SmallInteger) else 32


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _refused(expected: str, value: object) -> EncodeError:
    return EncodeError(f"expected {expected}, got {type(value).__qualname__} {value!r:.100}")


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refused("a bool", value)
    return value


def _integer(bits: int) -> Column:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def convert(value: Any) -> int:
        value = _plain(value)
        if not isinstance(value, int) or not low <= value <= high:
            raise _refused(f"an int of {bits} bits", value)
        return int(value)

    def check(values: list[Any]) -> bool:
        known = [value for value in values if value is not None] if None in values else values
        return not known or (low <= min(known) and max(known) <= high)

    return Column(convert, int, check)


def _float(value: Any) -> float:
    value = _plain(value)
    if not isinstance(value, int | float):
        raise _refused("a float", value)
    try:
        return float(value)
    except OverflowError:
        raise _refused("a float of 64 bits", value) from None


def _single(value: Any) -> float:
    number = _float(value)
    try:
        struct.pack("<f", number)
    except OverflowError:
        raise _refused("a float of 32 bits", value) from None
    return number


def _decimal(precision: int | None, scale: int | None) -> Convert:
    before_point = None if precision is None else precision - (scale or 0)
    step = Decimal((0, (1,), -(scale or 0)))

    def convert(value: Any) -> Decimal:
        value = _plain(value)
        if not isinstance(value, int | float | Decimal):
            raise _refused("a Decimal", value)
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        exponent = number.as_tuple().exponent
        if isinstance(exponent, int) and (number.adjusted() > _MOST_DIGITS or exponent < -_MOST_DECIMALS):
            raise _refused(f"a Decimal with at most {_MOST_DECIMALS} digits behind the point", value)
        if before_point is not None and not number.is_nan():
            rounded = number.quantize(step, context=_EXACT) if number.is_finite() else number
            if not rounded.is_finite() or (rounded and rounded.adjusted() >= before_point):
                raise _refused(f"a Decimal of NUMERIC({precision}, {scale or 0})", value)
        return number

    return convert


def _member(names: frozenset[str]) -> Convert:
    def convert(value: Any) -> str:
        value = _plain(value)
        if value not in names:
            raise _refused(f"one of {', '.join(map(repr, sorted(names)))}", value)
        return str(value)

    return convert


def _text(length: int | None, *, nul: bool) -> Column:
    def convert(value: Any) -> str:
        value = _plain(value)
        if not isinstance(value, str):
            raise _refused("text", value)
        if length is not None and len(value) > length:
            raise _refused(f"text of at most {length} characters", value)
        if not nul and "\0" in value:
            raise _refused("text without the character NUL", value)
        return str(value)

    def check(values: list[Any]) -> bool:
        known = [value for value in values if value]
        if length is not None and max(map(len, known), default=0) > length:
            return False
        return nul or not any("\0" in value for value in known)

    return Column(convert, str, check)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _refused("bytes", value)
    return bytes(cast("bytes", value))


def _uuid(value: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise _refused("a UUID", value) from None


def _aware(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _refused("a datetime with a time zone", value)
    return value.astimezone(UTC)


def _naive(value: Any) -> datetime:
    """Return a time for a column that knows no zones: in UTC if it has one, and as it is if not."""
    if not isinstance(value, datetime):
        raise _refused("a datetime", value)
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def _date(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _refused("a date", value)
    return value


def _time(*, aware: bool) -> Convert:
    def convert(value: Any) -> time:
        if not isinstance(value, time) or (value.utcoffset() is not None) != aware:
            raise _refused(f"a time {'with' if aware else 'without'} a fixed offset from UTC", value)
        return value

    return convert


def _interval(value: Any) -> timedelta:
    if not isinstance(value, timedelta):
        raise _refused("a timedelta", value)
    return value


def _json(*, nul: bool) -> Convert:
    def convert(value: Any) -> str:
        text = msgspec.json.encode(value).decode()
        if not nul and "\\u0000" in text.replace("\\\\", ""):
            raise _refused("JSON without the character NUL", value)
        return text

    return convert


def _array(item: Column) -> Column:
    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise _refused("a list", value)
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        if not any(isinstance(part, list | tuple) for part in items):
            return item.values(items)
        # PostgreSQL's arrays have as many dimensions as their values.
        parts = [convert(part) for part in items]
        if len({_shape(part) for part in parts}) > 1:
            raise _refused("a list of lists of the same length", items)
        return parts

    return Column(convert)


def _shape(items: list[Any]) -> tuple[int, ...]:
    """Return the lengths of lists of lists whose parts have the same lengths."""
    nested = bool(items) and isinstance(items[0], list)
    return (len(items), *(_shape(items[0]) if nested else ()))  # pyright: ignore[reportUnknownArgumentType]


def _for_sqlite(value: Any) -> Any:
    """Return a value as SQLite's columns take it, which are not about types."""
    value = _plain(value)
    match value:
        case bool():
            return int(value)
        case int():
            return _WIDE.convert(value)
        case float():
            return None if isnan(value) else float(value)  # which SQLite would do in silence
        case str():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(cast("bytes", value))
        case datetime() if value.tzinfo is None:
            return value.isoformat(" ", "microseconds")
        case datetime():
            return value.astimezone(UTC).isoformat(" ", "microseconds")
        case date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case _:
            return msgspec.json.encode(value).decode()


_WIDE = _integer(64)

SQLITE = Column(_for_sqlite)
"""Any column of SQLite: times are ISO 8601 text, in UTC if they have a zone; intervals are seconds, decimals text."""

ANYTHING = Column(_plain)
"""A column of a type that is left to the driver."""
