"""Python values as bytes that describe themselves: what state, outbox and timers are written in.

A value is MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md). None, bool, int of up to 64 bits,
float, str and bytes are its own types, a list is an array, a dict whose keys are of these types a map. Everything else
is an extension, so that it comes back as what it was; "array" below means a MessagePack array of values:

    1   int beyond 64 bits      two's complement, big-endian
    2   tuple                   array
    3   set                     array
    4   frozenset               array
    5   dict with other keys    array: key, value, key, value, ...
    6   date                    array: year, month, day
    7   time                    array: hour, minute, second, microsecond, fold, zone
    8   datetime                array: that of the date, then that of the time
    9   timedelta               array: days, seconds, microseconds
    10  Decimal                 its text
    11  UUID                    16 bytes
    12  object                  header, array of the fields' values
    13  list of objects         header, array of lists: one list a field, all of the same length
    14  list of tuples          array of lists, likewise: the tuples have the same length, which is not 0
    header                      length (2 bytes, big-endian), array: class, array of the fields' names
    class                       "module:qualified.name"
    zone                        None, the key of a ZoneInfo, or an array: offset in microseconds, name or None

Objects are msgspec Structs (`Record` is one), dataclasses, NamedTuples, members of enums and what is `Opaque`; the one
field of a member is its name, of flags its number, that of an `Opaque` its bytes. Lists of objects of one class are
written field by field, which keeps whole columns in C code both ways. It is as fast as msgspec's typed decoders, which
would not do: they read what a class declares, and msgspec checks that on input only, so that a record made with a value
of another type could be written but not read, or would come back changed.

Fields that a class no longer has are ignored when its objects are read, new ones take their default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from itertools import chain, starmap
from operator import itemgetter
from types import NoneType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec.msgpack import Ext

from streamproc.errors import DecodeError, EncodeError
from streamproc.values.plain import plain_maker_of
from streamproc.values.shapes import maker_of, shape_of

__all__ = ["copy_value", "decode_plain", "decode_value", "decode_values", "encode_value", "encode_values"]

_BIG_INT, _TUPLE, _SET, _FROZENSET, _DICT, _DATE, _TIME, _DATETIME, _TIMEDELTA, _DECIMAL, _UUID = range(1, 12)
_OBJECT, _OBJECTS, _TUPLES = range(12, 15)

_SCALARS: Final = frozenset({NoneType, bool, int, float, str, bytes})
_CERTAIN: Final = _SCALARS - {str} | {date, timedelta, Decimal, UUID}
"""Types of which each object can be written, and none be changed."""

_pack: Final = msgspec.msgpack.Encoder().encode


def encode_value(value: object) -> bytes:
    """Return a value as bytes.

    Raises:
        EncodeError: The value, or one inside it, is of a type that can't be written. The type must be exactly one of
            those supported: a `collections.Counter` would come back as a dict.
    """
    try:
        # Almost all integers fit MessagePack's own; the others are found when it refuses them.
        try:
            return _pack(value if type(value) in _SCALARS else _FAST.lower(value))
        except OverflowError:
            return _pack(_WIDE.lower(value))
    except UnicodeEncodeError as error:
        raise EncodeError(f"text with a lone surrogate can't be written as UTF-8: {error.object!r:.80}") from error
    except AttributeError as error:
        raise EncodeError(f"an object without a value for one of its fields can't be written: {error}") from error
    except RecursionError as error:
        raise EncodeError(
            f"a value of type {type(value).__qualname__} contains itself, or is nested too deeply to be written"
        ) from error


def decode_value(data: bytes) -> Any:
    """Return the value that ``data`` was encoded from.

    Raises:
        DecodeError: The bytes are no value, or one of a class that is not imported or can't be made from these fields.
    """
    return _decode(_unpack, data)


def decode_plain(data: bytes) -> Any:
    """Return the value that ``data`` was encoded from, with a `PlainObject` for each object: no class is looked up.

    Raises:
        DecodeError: The bytes are no value.
    """
    return _decode(_unpack_plain, data)


def copy_value(value: Any) -> Any:
    """Return what would come back if a value were written and read.

    Raises:
        EncodeError: As `encode_value`.
        DecodeError: As `decode_value`.
    """
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    if _is_its_copy(value) or (kind is tuple and all(map(_is_its_copy, value))):
        return value
    return decode_value(encode_value(value))


def _is_its_copy(value: Any) -> bool:
    return type(value) in _CERTAIN or (type(value) is str and value.isascii())


def encode_values(values: list[Any]) -> bytes:
    """Return a column of values as bytes: the same as `encode_value` of the list.

    Raises:
        EncodeError: As `encode_value`.
    """
    return encode_value(values)


def decode_values(data: bytes) -> list[Any]:
    """Return the column that `encode_values` wrote.

    Raises:
        DecodeError: As `decode_value`, or the bytes are a value that is no list.
    """
    values = decode_value(data)
    if type(values) is not list:
        raise DecodeError(f"expected the bytes of a list, got those of a value of type {type(values).__qualname__}")
    return values  # pyright: ignore[reportUnknownVariableType]


def _decode(unpack: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return unpack(data)
    except (msgspec.DecodeError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        raise DecodeError(f"not the bytes of a value: {data[:40]!r}: {error}") from error


class _Writer:
    """Lowers values to what MessagePack has: scalars, lists, dicts of scalars, and extensions."""

    def __init__(self, scalars: frozenset[type]) -> None:
        self._scalars = scalars
        self._kinds: dict[type, Callable[[Any], object]] = {
            int: _lower_int,
            list: self._list,
            dict: self._dict,
            tuple: lambda value: Ext(_TUPLE, self._array(value)),
            set: lambda value: Ext(_SET, self._array(value)),
            frozenset: lambda value: Ext(_FROZENSET, self._array(value)),
            date: lambda value: Ext(_DATE, _pack(_date_fields(value))),
            time: lambda value: Ext(_TIME, _pack(_time_fields(value))),
            datetime: lambda value: Ext(_DATETIME, _pack([*_date_fields(value), *_time_fields(value)])),
            timedelta: lambda value: Ext(_TIMEDELTA, _pack([value.days, value.seconds, value.microseconds])),
            Decimal: lambda value: Ext(_DECIMAL, str(value).encode()),
            UUID: lambda value: Ext(_UUID, value.bytes),
        }

    def lower(self, value: Any) -> object:
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind in self._scalars:
            return value
        special = self._kinds.get(kind)
        if special is not None:
            return special(value)
        shape = shape_of(kind)
        return Ext(_OBJECT, shape.header + self._array(shape.take(value)))

    def _array(self, items: Iterable[Any]) -> bytes:
        values = tuple(items)
        return _pack(values if self._scalars.issuperset(map(type, values)) else list(map(self.lower, values)))

    def _list(self, items: list[Any]) -> object:
        kinds = set(map(type, items))
        if kinds <= self._scalars:
            return items
        if len(kinds) == 1:
            kind = kinds.pop()
            if kind is tuple:
                widths = set(map(len, items))
                if len(widths) == 1 and (width := widths.pop()):
                    return Ext(_TUPLES, self._columns(items, map(itemgetter, range(width))))
            elif kind not in self._kinds:
                shape = shape_of(kind)
                if shape.fields:
                    return Ext(_OBJECTS, shape.header + self._columns(items, shape.getters))
        return list(map(self.lower, items))

    def _columns(self, rows: list[Any], getters: Iterable[Callable[[Any], Any]]) -> bytes:
        return _pack([self._list(list(map(get, rows))) for get in getters])

    def _dict(self, value: dict[Any, Any]) -> object:
        scalars = self._scalars
        if not scalars.issuperset(map(type, value)):
            return Ext(_DICT, self._array(chain.from_iterable(value.items())))
        if scalars.issuperset(map(type, value.values())):
            return value
        lower = self.lower
        return {key: lower(item) for key, item in value.items()}


def _lower_int(value: int) -> object:
    if -(1 << 63) <= value < 1 << 64:
        return value
    return Ext(_BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _date_fields(value: date) -> list[Any]:
    return [value.year, value.month, value.day]


def _time_fields(value: time | datetime) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold, _zone_fields(value.tzinfo)]


def _zone_fields(zone: tzinfo | None) -> object:
    if zone is None:
        return None
    if type(zone) is timezone:
        offset, name = zone.utcoffset(None), zone.tzname(None)
        return [offset // timedelta(microseconds=1), None if name == timezone(offset).tzname(None) else name]
    if type(zone) is ZoneInfo and zone.key:
        return zone.key
    raise EncodeError(
        f"a time has a zone of type {type(zone).__qualname__}; expected datetime.timezone or a ZoneInfo with a key: "
        "convert it with astimezone(UTC)"
    )


def _read_zone(zone: list[Any] | str | None) -> tzinfo | None:
    if isinstance(zone, list):
        offset = timedelta(microseconds=zone[0])
        return timezone(offset) if zone[1] is None else timezone(offset, zone[1])
    return None if zone is None else ZoneInfo(zone)


def _read_time(hour: int, minute: int, second: int, microsecond: int, fold: int, zone: Any) -> time:
    return time(hour, minute, second, microsecond, _read_zone(zone), fold=fold)


def _read_datetime(*fields: Any) -> datetime:
    return datetime.combine(date(*fields[:3]), _read_time(*fields[3:]))


class _Reader:
    """Makes values of MessagePack.

    Args:
        maker_of: Returns what makes an object from the values of its fields, given what was written before them.
    """

    def __init__(self, maker_of: Callable[[bytes], Callable[..., Any]]) -> None:
        self._maker_of = maker_of
        unpack: Callable[[bytes | memoryview], Any] = msgspec.msgpack.Decoder(ext_hook=self._extension).decode
        self.read: Final = unpack
        self._kinds: dict[int, Callable[[memoryview], Any]] = {
            _BIG_INT: lambda data: int.from_bytes(data, "big", signed=True),
            _TUPLE: lambda data: tuple(unpack(data)),
            _SET: lambda data: set(unpack(data)),
            _FROZENSET: lambda data: frozenset(unpack(data)),
            _DICT: self._dict,
            _DATE: lambda data: date(*unpack(data)),
            _TIME: lambda data: _read_time(*unpack(data)),
            _DATETIME: lambda data: _read_datetime(*unpack(data)),
            _TIMEDELTA: lambda data: timedelta(*unpack(data)),
            _DECIMAL: lambda data: Decimal(str(data, "ascii")),
            _UUID: lambda data: UUID(bytes=bytes(data)),
            _OBJECT: self._object,
            _OBJECTS: self._objects,
            _TUPLES: lambda data: list(zip(*unpack(data), strict=True)),
        }

    def _extension(self, code: int, data: memoryview) -> Any:
        kind = self._kinds.get(code)
        if kind is None:
            raise DecodeError(
                f"a value has the unknown type code {code}: it was written by a newer version of streamproc"
            )
        return kind(data)

    def _object(self, data: memoryview) -> Any:
        make, values = self._split(data)
        return make(*values)

    def _objects(self, data: memoryview) -> list[Any]:
        make, columns = self._split(data)
        return list(starmap(make, zip(*columns, strict=True)))

    def _dict(self, data: memoryview) -> dict[Any, Any]:
        items = iter(self.read(data))
        return dict(zip(items, items, strict=True))

    def _split(self, data: memoryview) -> tuple[Callable[..., Any], Any]:
        """Return what makes an object from its fields' values, and what stands behind the header."""
        end = (data[0] << 8 | data[1]) + 2
        return self._maker_of(bytes(data[:end])), self.read(data[end:])


_unpack: Final = _Reader(maker_of).read
_unpack_plain: Final = _Reader(plain_maker_of).read
_FAST: Final = _Writer(_SCALARS)
_WIDE: Final = _Writer(_SCALARS - {int})
