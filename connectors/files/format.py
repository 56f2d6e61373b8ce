"""`Format`: how the bytes of a file and its records correspond, in both directions.

A format is a frozen definition that sources and sinks of files share. Reading goes in two steps, because they happen in
two places: ``split`` cuts a chunk of a file into the raw bytes of its records, inside the reader; the ``decoder`` turns
those into values a batch at a time, inside the engine, where the error policy of the job applies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from streamproc.batch import Batch
from streamproc.codecs import Decoder

__all__ = ["Format", "Rows", "is_ascii_compatible", "pairs", "split_lines"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a batch as a piece of a file.

    Attributes:
        header: What must stand once at the start of every file, with its line break; empty where there is no header.
        body: The rows, each with its line break.
    """

    header: bytes
    body: bytes


class Format(ABC, Generic[T]):
    """The definition of a file format whose records are read as ``T``."""

    suffix: ClassVar[str]
    """What a sink puts behind the names of its files, without the dot."""

    skips_blank: ClassVar[bool] = False
    """Whether a line with nothing in it is no record."""

    multiline: ClassVar[bool] = False
    """Whether a record may hold line breaks."""

    has_header: bool = False
    """Whether the first record of each file names the fields of the others."""

    @property
    @abstractmethod
    def decoder(self) -> Decoder[T]:
        """How to turn the raw bytes of a record, without its line break, into a value."""

    def split(self, data: bytes) -> tuple[list[bytes], int]:
        """Cut a chunk that starts at a record into records.

        Returns:
            The complete records without their line feeds, and how many bytes they take with them. A record that ends
            with the chunk, and without a line feed, is not complete.
        """
        return split_lines(data)

    def prefix(self, header: bytes) -> bytes:
        """Return what a record must begin with for the decoder, given the header record of its file."""
        return b""

    @abstractmethod
    def encode(self, batch: Batch) -> Rows:
        """Return the rows of a batch as text for a file.

        Raises:
            EncodeError: A row does not fit the format.
        """


def split_lines(data: bytes) -> tuple[list[bytes], int]:
    """Cut a chunk at its line feeds; see `Format.split`."""
    end = data.rfind(b"\n")
    return (data[:end].split(b"\n"), end + 1) if end >= 0 else ([], 0)


def is_ascii_compatible(encoding: str) -> bool:
    """Return whether a byte 10 in text of this encoding is always a line feed, as cutting at line feeds needs."""
    try:
        return "\n".encode(encoding) == b"\n" and "\u010a,".encode(encoding, "ignore").count(b"\n") == 0
    except LookupError:
        return False


def pairs(batch: Batch) -> list[tuple[Any, Any]]:
    """Return the rows of a keyed batch as pairs of key and value."""
    assert batch.keys is not None
    return list(zip(batch.keys, batch.values, strict=True))
