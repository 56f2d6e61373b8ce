"""The classes whose objects can be written as values: how they are named, found, taken apart and made again.

A class is written as ``module:qualified.name``. Reading runs no code that the bytes name: the class is looked up among
the modules that are imported already, and only accepted if it is a msgspec Struct, dataclass, NamedTuple, Enum or
`Opaque`; of the latter, the one field is its bytes. Classes of `NamedValues` are named by the one they derive from.

The module that a program was started with is called ``__main__``, whatever its name: its classes are written with the
name it has for others (``python -m shop.orders``: ``shop.orders``), where there is one, so that another program that
imports the module can read them.
"""

from __future__ import annotations

import dataclasses
import inspect
import struct
import sys
from collections.abc import Callable, Iterable
from enum import Enum, Flag
from operator import attrgetter, itemgetter, methodcaller
from typing import Any, Final, TypeAlias, cast

import msgspec

from streamproc.errors import DecodeError, EncodeError
from streamproc.values.named import NamedValues, class_with, origin_of
from streamproc.values.opaque import Opaque

__all__ = ["Shape", "described_by", "maker_of", "shape_of"]

_SUPPORTED: Final = (
    "None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset, date, time, datetime, timedelta, Decimal, "
    "UUID, Records and other msgspec Structs, dataclasses, NamedTuples, members of Enums, and what is Opaque"
)


_Get: TypeAlias = Callable[[Any], Any]
_Take: TypeAlias = Callable[[Any], Iterable[Any]]
_Make: TypeAlias = Callable[..., Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How the objects of a class are taken apart and made again.

    Attributes:
        name: The class as it is written.
        fields: The names of its fields, in order.
        take: Returns the values of an object's fields, in that order.
        getters: Return the value of one field each.
        make: Makes an object from the values of all fields, in that order.
        make_named: Makes an object from the values of some fields, by name; the others take their defaults.
            Neither runs code of the class that could change a value, or refuse it.
        header: What is written before its objects: see `streamproc.values.format`.
    """

    name: str
    fields: tuple[str, ...]
    take: _Take
    getters: tuple[_Get, ...]
    make: _Make
    make_named: _Make
    header: bytes


_shapes: dict[type, Shape] = {}


def shape_of(kind: type) -> Shape:
    """Return the shape of a class.

    Raises:
        EncodeError: Its objects can't be written, or it could not be found again by its name.
    """
    shape = _shapes.get(kind)
    if shape is None:
        shape = _shapes[kind] = _describe(kind)
    return shape


def maker_of(header: bytes) -> _Make:
    """Return what makes an object from the values of the fields that a header names, in that order.

    Raises:
        DecodeError: No module that is imported has the class, or it is none of the kinds that can be written.
    """
    module, qualified_name, kind, make = _makers.get(header, _UNKNOWN)
    # A module may have been loaded again, with another class of that name.
    if make is None or _find(module, qualified_name) is not kind:
        name, fields = described_by(header)
        module, qualified_name, kind = _class_named(name)
        make = _make_from(kind, name, fields)
        _makers[header] = module, qualified_name, kind, make
    return make


def described_by(header: bytes) -> tuple[str, list[str]]:
    """Return the class that a header names, and its fields."""
    return msgspec.msgpack.decode(header[2:], type=tuple[str, list[str]])


_makers: dict[bytes, tuple[str, list[str], type, _Make | None]] = {}
_UNKNOWN: Final[tuple[str, list[str], type, _Make | None]] = ("", [], object, None)


def _class_named(name: str) -> tuple[str, list[str], type]:
    module, _, qualified_name = name.partition(":")
    if module == _main_name():
        module = "__main__"
    if module not in sys.modules:
        raise DecodeError(f"a value is of the class {name}, and the module {module} is not imported: import it first")
    path = qualified_name.split(".")
    kind = _find(module, path)
    if kind is None:
        raise DecodeError(
            f"a value is of the class {name}, and the module {module} has no class of that name: "
            "keep a class under its old name as long as there may be state of it"
        )
    return module, path, kind


def _make_from(kind: type, name: str, fields: list[str]) -> _Make:
    if issubclass(kind, NamedValues):
        kind = class_with(kind, tuple(fields))
    try:
        shape = shape_of(kind)
    except EncodeError as error:
        raise DecodeError(f"a value of the class {name} can't be read: {error}") from error
    if tuple(fields) == shape.fields:
        return shape.make
    known = frozenset(shape.fields)

    def make(*values: object) -> Any:
        return shape.make_named(**{field: value for field, value in zip(fields, values, strict=True) if field in known})

    return make


def _find(module: str, path: list[str]) -> type | None:
    # Not by getattr: that could run a property or a module's own __getattr__.
    found: Any = sys.modules.get(module)
    for part in path:
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None


def _main_name() -> str:
    """Return the name that the program's main module has for others."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return "__main__" if spec is None else spec.name


def _describe(kind: type) -> Shape:
    named = origin_of(kind)
    name = f"{_main_name() if named.__module__ == '__main__' else named.__module__}:{named.__qualname__}"
    parts = _parts(kind)
    if parts is None:
        raise EncodeError(f"a value of the class {name} can't be written; expected exactly {_SUPPORTED}")
    if _find(named.__module__, named.__qualname__.split(".")) is not named:
        raise EncodeError(
            f"a value of the class {name} can't be written, as the class can't be found again by that name: "
            "define it at the top of its module, and don't give the name to anything else"
        )
    content = msgspec.msgpack.encode([name, parts[0]])
    return Shape(name, *parts, struct.pack(">H", len(content)) + content)


def _parts(kind: Any) -> tuple[tuple[str, ...], _Take, tuple[_Get, ...], _Make, _Make] | None:
    """Return the attributes of the shape of a class between name and header; None if its objects can't be written."""
    if issubclass(kind, Opaque):
        return ("bytes",), *_reading((methodcaller("to_bytes"),)), kind.from_bytes, kind.from_bytes
    if issubclass(kind, Enum):
        # A member is what its name says, and a combination of flags has none. Neither is read by `name` and `value`: a
        # class may have properties of its own of these names.
        if issubclass(kind, Flag):
            return ("value",), *_reading((attrgetter("_value_"),)), kind, kind
        return ("name",), *_reading((attrgetter("_name_"),)), *_member_makers(kind)
    if issubclass(kind, msgspec.Struct):
        fields = kind.__struct_fields__
        return fields, *_reading_attributes(fields), *_struct_makers(kind, fields)
    if tuple in kind.__mro__:
        if not hasattr(kind, "_fields"):
            return None
        fields = kind._fields
        return fields, tuple, tuple(map(itemgetter, range(len(fields)))), *_tuple_makers(kind, fields)
    if dataclasses.is_dataclass(kind):
        fields = tuple(field.name for field in dataclasses.fields(kind))
        return fields, *_reading_attributes(fields), *_dataclass_makers(kind, fields)
    return None


def _reading(getters: tuple[_Get, ...]) -> tuple[_Take, tuple[_Get, ...]]:
    return lambda value: [get(value) for get in getters], getters


def _reading_attributes(names: tuple[str, ...]) -> tuple[_Take, tuple[_Get, ...]]:
    take, getters = _reading(tuple(map(attrgetter, names)))
    return attrgetter(*names) if len(names) > 1 else take, getters


def _member_makers(kind: Any) -> tuple[_Make, _Make]:
    def make(name: str) -> Any:
        return kind[name]  # not by `kind.__getitem__`: that of a StrEnum is that of str

    return make, make


def _struct_makers(kind: Any, fields: tuple[str, ...]) -> tuple[_Make, _Make]:
    if not hasattr(kind, "__post_init__"):
        parameters = inspect.signature(kind).parameters.values()
        if any(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters):
            return lambda *values: kind(**dict(zip(fields, values, strict=True))), kind
        return kind, kind

    # There is no other way past `__post_init__`, which may compute a field: an object of a class that is the same
    # without it, which then becomes one of the class.
    def nothing_more(_: object) -> None: ...

    without = type(kind)(kind.__name__, (kind,), {"__module__": kind.__module__, "__post_init__": nothing_more})

    def make_named(**values: object) -> Any:
        made = without(**values)
        msgspec.structs.force_setattr(made, "__class__", kind)
        return made

    return lambda *values: make_named(**dict(zip(fields, values, strict=True))), make_named


def _tuple_makers(kind: Any, fields: tuple[str, ...]) -> tuple[_Make, _Make]:
    """Return makers that run no ``__new__``, as for dataclasses."""

    def make(*values: object) -> Any:
        return cast("Any", tuple).__new__(kind, values)

    def make_named(**values: object) -> Any:
        missing = [name for name in fields if name not in values and name not in kind._field_defaults]
        if missing:
            raise _no_value(kind, missing[0])
        return make(*(values[name] if name in values else kind._field_defaults[name] for name in fields))

    return make, make_named


def _dataclass_makers(kind: Any, names: tuple[str, ...]) -> tuple[_Make, _Make]:
    """Return makers that set the fields and run no ``__init__``, which may take something else or compute a field."""
    try:
        object.__new__(kind)
    except TypeError as error:
        raise EncodeError(f"the dataclass {kind.__qualname__} can't be written: it is built on another type") from error
    fields = {field.name: field for field in dataclasses.fields(kind)}

    def make(*values: object) -> Any:
        made: Any = object.__new__(kind)
        for name, value in zip(names, values, strict=True):
            object.__setattr__(made, name, value)
        return made

    def default(name: str) -> object:
        field = fields[name]
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        if field.default is dataclasses.MISSING:
            raise _no_value(kind, name)
        return field.default

    def make_named(**values: object) -> Any:
        return make(*(values[name] if name in values else default(name) for name in names))

    return make, make_named


def _no_value(kind: type, field: str) -> TypeError:
    return TypeError(f"{kind.__qualname__} has a field {field!r} that was not written and has no default")
