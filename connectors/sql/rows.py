"""How a batch's elements become rows of a table: columns with names, one list of values each.

A `Record` or another msgspec Struct, a dataclass, a NamedTuple and a mapping have named fields. A tuple or list has
values in the order of the sink's ``columns``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, cast

import msgspec

from streamproc.errors import EncodeError

__all__ = ["Rows", "rows_of"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that have the same columns.

    Attributes:
        columns: The names of the columns.
        values: The values: a list for each column, all of the same length.
    """

    columns: tuple[str, ...]
    values: list[list[Any]]


def rows_of(elements: Sequence[Any], columns: tuple[str, ...], *, ordered: bool) -> list[Rows]:
    """Return elements as rows.

    Args:
        elements: The elements.
        columns: The columns to write; if empty, each row has the columns that its element has.
        ordered: Whether rows with different columns must stay in order.

    Raises:
        EncodeError: An element can't be a row, or lacks a column.
    """
    kinds = set(map(type, elements))
    if len(kinds) == 1 and (attributes := _attributes(kinds.pop())):
        names = columns or tuple(attributes)
        if all(name in attributes for name in names):
            return [Rows(names, [list(map(attrgetter(attributes[name]), elements)) for name in names])]
    fields = [_fields(element, columns) for element in elements]
    by_columns = cast("Callable[[dict[str, Any]], tuple[str, ...]]", tuple)
    if not ordered:
        fields.sort(key=by_columns)
    return [_as_columns(names, list(same)) for names, same in groupby(fields, key=by_columns)]


def _as_columns(names: tuple[str, ...], fields: Iterable[dict[str, Any]]) -> Rows:
    return Rows(names, list(map(list, zip(*(row.values() for row in fields), strict=True))))


def _fields(element: Any, columns: tuple[str, ...]) -> dict[str, Any]:
    """Return an element's values by column, in an order that is the same for all with the same columns."""
    if isinstance(element, tuple | list) and not hasattr(element, "_fields"):  # pyright: ignore[reportUnknownArgumentType]
        values = cast("Sequence[Any]", element)
        if len(values) != len(columns):
            raise EncodeError(
                f"a row has {len(values)} values without names, and SqlSink(columns=…) has {len(columns)}: name the "
                f"columns of all values, or return a dict from row=: {element!r:.200}"
            )
        return dict(zip(columns, values, strict=True))
    found = _named(element)
    if not columns:
        if not found:
            raise EncodeError(f"a row without columns: {element!r:.200}")
        return dict(sorted(found.items()))
    try:
        return {name: found[name] for name in columns}
    except KeyError as error:
        raise EncodeError(f"the row lacks {error}; it has {', '.join(map(repr, found))}: {element!r:.200}") from None


def _named(element: Any) -> Mapping[str, Any]:
    if isinstance(element, Mapping):
        found: Mapping[Any, Any] = element  # pyright: ignore[reportUnknownVariableType]
        if not all(isinstance(name, str) for name in found):
            raise EncodeError(f"a row's keys are the names of columns: expected text: {element!r:.200}")
        return found
    kind: type[Any] = type(element)  # pyright: ignore[reportUnknownVariableType]
    attributes = _attributes(kind)
    if attributes is None:
        raise EncodeError(
            f"an element of type {kind.__qualname__} is no row: expected a Record, a dict, or a tuple with "
            f"columns=(…); make one with row=: {element!r:.200}"
        )
    return {name: getattr(element, attribute) for name, attribute in attributes.items()}


def _attributes(kind: type[Any]) -> dict[str, str] | None:
    """Return the attributes of a class's objects by the names of their columns; None if it has no fields."""
    if issubclass(kind, msgspec.Struct):
        return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    if dataclasses.is_dataclass(kind):
        return {field.name: field.name for field in dataclasses.fields(kind)}
    names: tuple[str, ...] | None = getattr(kind, "_fields", None)
    return None if names is None else {name: name for name in names}
