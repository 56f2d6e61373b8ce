"""`ConsoleSink`: prints the first rows of each batch."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TextIO

from streamproc.batch import Batch
from streamproc.errors import PipelineError, SinkError
from streamproc.io.sink import Delivery, OutboxEntry, Sink, SinkContext, SinkWriter

__all__ = ["ConsoleSink", "ConsoleWriter"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RULE = "-" * 43


@dataclass(frozen=True, eq=False)
class ConsoleSink(Sink[Any]):
    """A sink that prints each batch below a line with its time, as Spark's ``pprint`` does. At-least-once.

    Attributes:
        limit: How many rows of a batch to print; None for all. The others are counted.
        label: What to print behind the time.
        stream: Where to print; None for what `sys.stdout` is when a batch is published.
    """

    delivery: ClassVar[Delivery] = "at_least_once"
    limit: int | None = 10
    label: str = ""
    stream: TextIO | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 0:
            raise PipelineError(f"ConsoleSink: limit is {self.limit}, expected None, or zero or more rows")

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard."""
        return ConsoleWriter(self, context.name)


class ConsoleWriter(SinkWriter):
    """Prints batches; the payload is the text below the line with the time.

    Args:
        sink: The definition.
        name: The operator name of the sink, for errors.
    """

    def __init__(self, sink: ConsoleSink, name: str) -> None:
        self._sink = sink
        self._name = name

    async def start(self) -> int | None:
        """Do nothing: what was printed before is not known."""

    def encode(self, batch: Batch) -> bytes:
        """Return the first rows as text, one a line, and how many more there are."""
        shown = len(batch) if self._sink.limit is None else min(self._sink.limit, len(batch))
        lines = [str(row) for row in batch.take(range(shown)).rows()]
        if shown < len(batch):
            lines.append(f"... ({len(batch) - shown} more)")
        # A lone surrogate is text that can't be encoded; printing it escaped is better than not printing.
        return "\n".join(lines).encode(errors="backslashreplace")

    async def publish(self, entry: OutboxEntry) -> None:
        """Print a batch.

        Raises:
            SinkError: The stream is closed, or nobody reads it any more.
        """
        time = (_EPOCH + timedelta(milliseconds=entry.time)).isoformat(timespec="milliseconds")
        header = f"{_RULE}\nTime: {time.replace('+00:00', 'Z')} {self._sink.label}".rstrip()
        text = f"{header}\n{_RULE}\n{entry.payload.decode()}\n\n"
        try:
            # In a thread: a terminal that is stopped must not stop the event loop.
            await asyncio.to_thread(self._print, text)
        except (OSError, ValueError) as error:
            raise SinkError(f"sink {self._name!r} can't print batch {entry.batch_id}: {error}") from error

    async def close(self) -> None:
        """Do nothing: the stream is not ours."""

    def _print(self, text: str) -> None:
        stream = sys.stdout if self._sink.stream is None else self._sink.stream
        stream.write(text)
        stream.flush()
