r"""`Csv`: separated fields, with quotes around those that hold separators, quotes or line breaks (RFC 4180).

A record ends at a line feed outside of quotes. What counts as quoted is what Python's `csv` module says: a field is
quoted if its first character is a quote; a quote further inside is an ordinary character; two quotes in a quoted field
stand for one. ``_boundaries`` spells the same rule as a regular expression, so that a file can be cut at its records
without parsing their fields twice.

The decoder sees one record at a time, but only the file's header says what its fields are. So a record of a file with
a header travels as two lines: the header as a JSON list, then the raw record. Such a record explains itself wherever
it goes, for example to a dead-letter topic.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast, overload

import msgspec

from streamproc.batch import Batch
from streamproc.codecs import Decoder
from streamproc.errors import DecodeError, PipelineError

from .csv_rows import encode_rows
from .format import Format, Rows, is_ascii_compatible, split_lines

__all__ = ["Csv"]

T = TypeVar("T")

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, init=False)
class Csv(Format[T]):
    """Comma-separated values, read as dicts of strings or as records of a type.

    With a ``type``, fields are converted from text: numbers, booleans (``true``, ``false``, ``1``, ``0``), dates and
    times (ISO 8601), enums. An empty field that is not for a `str` counts as missing: it takes the default of its
    field, or None where the type allows that. Columns that the type doesn't have are left out. Empty lines are no
    records. A record with more or fewer fields than there are columns can't be decoded. Fields are limited to
    `csv.field_size_limit()` characters.

    Written, each file begins with a header. The columns are ``columns``, or else the fields of the first row of a
    batch; rows with a key have it in a first column named ``key``. Rows may be Records, dataclasses, dicts, lists or
    tuples; any other value is one column named ``value``. Lists, dicts and records inside a field are written as JSON.
    Rows of other columns than the file has begin a new file.

    Args:
        type: What to read each record as; without it, dicts of strings.
        columns: The names of the columns. For reading they say that the files have no header.
        delimiter: One character between fields.
        encoding: As for `Text`.

    Raises:
        PipelineError: The delimiter or the encoding can't be used.
    """

    suffix = "csv"
    skips_blank = True
    multiline = True

    record_type: type[T] | None
    columns: tuple[str, ...] | None
    delimiter: str
    encoding: str

    @overload
    def __init__(
        self: Csv[dict[str, str]],
        type: None = None,
        *,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> None: ...
    @overload
    def __init__(
        self,
        type: type[T],
        *,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> None: ...
    def __init__(
        self,
        type: type[Any] | None = None,
        *,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise PipelineError(f"Csv(delimiter={delimiter!r}): expected one ASCII character, no quote or line break")
        if not is_ascii_compatible(encoding):
            raise PipelineError(
                f"Csv(encoding={encoding!r}): expected an encoding that Python knows and in which a line feed is one "
                'byte, such as "utf-8" or "latin-1"'
            )
        object.__setattr__(self, "record_type", type)
        object.__setattr__(self, "columns", None if columns is None else tuple(columns))
        object.__setattr__(self, "delimiter", delimiter)
        object.__setattr__(self, "encoding", encoding)

    @property
    def has_header(self) -> bool:  # type: ignore[override]  # decided by the columns
        """Whether the first record of each file names the fields of the others."""
        return self.columns is None

    @property
    def decoder(self) -> Decoder[T]:
        """How to turn the bytes of a record into a dict or a typed record."""
        return _CsvDecoder(self)

    def split(self, data: bytes) -> tuple[list[bytes], int]:
        """Cut a chunk at the line feeds outside of quotes; see `Format.split`."""
        if b'"' not in data:
            return split_lines(data)
        records: list[bytes] = []
        end = 0
        record = _boundaries(self.delimiter)
        while found := record.match(data, end):
            end = found.end()
            records.append(data[found.start() : end - 1])
        return records, end

    def prefix(self, header: bytes) -> bytes:
        """Return a header record as the JSON line that the decoder expects before each record."""
        names = next(csv.reader([header.removeprefix(_BOM).decode(self.encoding)], delimiter=self.delimiter))
        return msgspec.json.encode(names) + b"\n"

    def encode(self, batch: Batch) -> Rows:
        """Return the rows of a batch as a header and separated fields."""
        return encode_rows(batch, self.columns, self.delimiter, self.encoding)


@lru_cache(maxsize=8)
def _boundaries(delimiter: str) -> re.Pattern[bytes]:
    """Return what matches one complete record with its line feed; all parts are possessive, so it runs in one pass."""
    separator = re.escape(delimiter.encode())
    rest = rb"[^" + separator + rb"\n]*+"
    field = rb'(?:"(?:[^"]++|"")*+"' + rest + rb'|(?!")' + rest + rb")"
    return re.compile(field + rb"(?:" + separator + field + rb")*+\n")


class _CsvDecoder(Decoder[T]):
    """Decodes records of one `Csv` format."""

    def __init__(self, format: Csv[T]) -> None:
        self._format = format
        self._never_empty = frozenset(_non_text_fields(format.record_type)) if format.record_type else frozenset[str]()

    def decode(self, data: bytes, /) -> T:
        """Return the value of one record."""
        return self.decode_many([data])[0]

    def decode_many(self, data: Sequence[bytes], /) -> list[T]:
        """Return the values of a batch in order."""
        columns = self._format.columns
        if columns is not None:
            return self._convert(columns, data)
        values: list[T] = []
        start = 0
        while start < len(data):
            # Records of one file stand together, so there are few headers in a batch.
            prefix = data[start][: data[start].index(b"\n") + 1]
            end = start + 1
            while end < len(data) and data[end].startswith(prefix):
                end += 1
            skip = len(prefix)
            header = tuple(msgspec.json.decode(prefix, type=list[str]))
            values += self._convert(header, [record[skip:] for record in data[start:end]])
            start = end
        return values

    def _convert(self, columns: Sequence[str], data: Sequence[bytes]) -> list[T]:
        encoding, count = self._format.encoding, len(columns)
        rows = list(csv.reader((record.decode(encoding) for record in data), delimiter=self._format.delimiter))
        if len(rows) != len(data):
            raise DecodeError(f"CSV: a quoted field is not closed in {data[-1][:100]!r}")
        for row in rows:
            if len(row) != count:
                names = ", ".join(columns)
                raise DecodeError(f"CSV: expected {count} fields ({names}), found {len(row)}: {row!r:.200}")
        records_by_name = [dict(zip(columns, row, strict=True)) for row in rows]
        if self._format.record_type is None:
            return cast("list[T]", records_by_name)
        for name in self._never_empty.intersection(columns):
            for record in records_by_name:
                if not record[name]:
                    del record[name]
        return msgspec.convert(records_by_name, list[self._format.record_type], strict=False)  # type: ignore[name-defined]


def _non_text_fields(type: type[Any]) -> Iterable[str]:
    """Return the fields of a record type for which an empty text can't be meant as a value."""
    info = msgspec.inspect.type_info(type)
    fields: Iterable[msgspec.inspect.Field] = getattr(info, "fields", ())
    for field in fields:
        options = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        if not any(isinstance(option, msgspec.inspect.StrType | msgspec.inspect.AnyType) for option in options):
            yield field.encode_name
