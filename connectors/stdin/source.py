"""`StdinSource`: the lines of standard input."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeVar, overload

from streamproc.codecs import Decoder, json_decoder, text_decoder
from streamproc.errors import PipelineError
from streamproc.io.source import Source, SourceContext, SourceReader

from .reader import StdinReader

__all__ = ["StdinSource"]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class StdinSource(Source[T]):
    r"""Reads lines (``\n`` or ``\r\n``) from standard input: a pipe, a file or a terminal. Finished at its end.

    A last line without a line break counts. Standard input can't be read again, so complete lines go into the job's
    journal as soon as they are read: none of these is lost or doubled, whenever the job stops. What had been read of
    a line that was not complete is lost with the process, and what a pipe still held goes with the pipe. Each start
    first works off what the journal holds, then reads the standard input that it is given, from where that is.

    With the trigger `Once`, standard input is read to its end. With several shards, only the first reads it.

    Args:
        format: How to turn the bytes of a line into a value; see also `text` and `ndjson`.
        skip_blank: Whether an empty line is no record.
        max_record_bytes: The longest line that is not an error.
        max_buffered_bytes: How much may be read ahead; above it nothing is read until batches have taken half of it.
        descriptor: The file descriptor to read: another one that the process was given.

    Raises:
        PipelineError: A limit is below 1.
    """

    format: Decoder[T]
    _: KW_ONLY
    skip_blank: bool = False
    max_record_bytes: int = 16 << 20
    max_buffered_bytes: int = 16 << 20
    descriptor: int = 0

    def __post_init__(self) -> None:
        if self.max_record_bytes < 1 or self.max_buffered_bytes < 1:
            raise PipelineError("StdinSource: max_record_bytes and max_buffered_bytes must be at least 1")

    @staticmethod
    def text(encoding: str = "utf-8", errors: str = "strict") -> StdinSource[str]:
        """Return a source of text lines; arguments as in `bytes.decode`."""
        return StdinSource(text_decoder(encoding, errors))

    @overload
    @staticmethod
    def ndjson(type: None = None) -> StdinSource[Any]: ...
    @overload
    @staticmethod
    def ndjson(type: type[U]) -> StdinSource[U]: ...
    @staticmethod
    def ndjson(type: type[Any] | None = None) -> StdinSource[Any]:
        """Return a source of JSON values, one a line: of a `Record` or other type, or untyped. Skips empty lines."""
        return StdinSource(json_decoder(type), skip_blank=True)

    @property
    def decoder(self) -> Decoder[T]:
        """How to turn raw lines into values."""
        return self.format

    def open(self, context: SourceContext) -> SourceReader:
        """Make the reader."""
        return StdinReader(
            context,
            self.descriptor,
            skip_blank=self.skip_blank,
            max_record_bytes=self.max_record_bytes,
            max_buffered_bytes=self.max_buffered_bytes,
        )
