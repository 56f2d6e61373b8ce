"""How rows become lines of CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Literal, TypeGuard

import msgspec

from streamproc.batch import Batch
from streamproc.errors import EncodeError

from .format import Rows

__all__ = ["encode_rows"]

_AS_THEY_ARE = frozenset({str, int, float, type(None)})


def encode_rows(batch: Batch, columns: Sequence[str] | None, delimiter: str, encoding: str) -> Rows:
    """Return the rows of a batch as a header and lines of CSV.

    Args:
        batch: At least one row.
        columns: The columns of the file, or None to take those of the first row.
        delimiter: One character between fields.
        encoding: The encoding of the text.

    Raises:
        EncodeError: A row has other fields than the columns say.
    """
    first = batch.values[0]
    own = _columns(first)
    if columns is None:
        names = list(own if own is not None else _unnamed(first))
        header = names if batch.keys is None else ["key", *names]
    else:
        header = list(columns)
        names = header if batch.keys is None else header[1:]
    rows = [_fields(value, names, given=columns is not None) for value in batch.values]
    if batch.keys is not None:
        rows = [[key, *row] for key, row in zip(batch.keys, rows, strict=True)]
    return Rows(_text([header], delimiter, encoding), _text(rows, delimiter, encoding))


def _text(rows: Sequence[Sequence[Any]], delimiter: str, encoding: str) -> bytes:
    plain = [[cell if type(cell) in _AS_THEY_ARE else _cell(cell) for cell in row] for row in rows]
    text = _write(plain, delimiter, csv.QUOTE_MINIMAL)
    if "\r" in text:
        # Older Pythons quote a field with a lone carriage return only if the line terminator has one.
        text = _write(plain, delimiter, csv.QUOTE_ALL)
    return text.encode(encoding)


def _write(rows: Sequence[Sequence[Any]], delimiter: str, quoting: Literal[0, 1]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(rows)
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    built: Any = msgspec.to_builtins(value)
    return built if isinstance(built, str) else msgspec.json.encode(built).decode()


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _columns(value: Any) -> tuple[str, ...] | None:
    """Return the names of a row's fields, or None if it has none."""
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if _is_mapping(value):
        return tuple(map(str, value))
    if dataclasses.is_dataclass(value):
        return tuple(field.name for field in dataclasses.fields(value))
    return getattr(value, "_fields", None)


def _unnamed(value: Any) -> tuple[str, ...]:
    if _is_sequence(value):
        raise EncodeError(
            f"Csv: the row {value!r:.100} has no names for its fields: give Csv(columns=[…]), or make it a Record"
        )
    return ("value",)


def _fields(value: Any, names: Sequence[str], *, given: bool) -> list[Any]:
    """Return the fields of a row in the order of the columns; with given columns, missing ones are empty."""
    if _is_mapping(value):
        extra = [name for name in value if name not in names]
        if extra or (not given and len(value) != len(names)):
            raise EncodeError(_mismatch(value, names))
        return [value.get(name) for name in names]
    own = _columns(value)
    if own is None:
        cells = list(value) if _is_sequence(value) else [value]
        if len(cells) != len(names):
            raise EncodeError(_mismatch(value, names))
        return cells
    if tuple(own) == tuple(names):
        return [getattr(value, name) for name in names]
    if not given or not set(own) <= set(names):
        raise EncodeError(_mismatch(value, names))
    return [getattr(value, name, None) for name in names]


def _mismatch(value: Any, names: Sequence[str]) -> str:
    return (
        f"Csv: the row {value!r:.200} does not have the fields of the file: expected {', '.join(names)}. "
        "Give all of them as Csv(columns=[…]), or write rows of one type to each sink"
    )
