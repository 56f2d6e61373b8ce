"""`FileSink`: part files in a directory, each batch in them exactly once."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar

from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.sink import Delivery, Sink, SinkContext, SinkWriter

from .format import Format
from .ndjson import Ndjson
from .part_writer import PartWriter

__all__ = ["FileSink", "Roll"]


@dataclass(frozen=True)
class Roll:
    """When a part file is full: at the end of the first batch with which it reaches a size or an age.

    Args:
        size_bytes: The size.
        every: The age: the time between the triggers of its first batch and of the last. It is looked at when a batch
            has outputs for the sink, so a stream that falls silent leaves its last part open until the job stops.

    Raises:
        PipelineError: Neither is given, or the size is below 1.
    """

    _: KW_ONLY
    size_bytes: int | None = None
    every: Duration | None = None

    def __post_init__(self) -> None:
        if self.size_bytes is None and self.every is None:
            raise PipelineError("Roll(): expected size_bytes, every, or both")
        if self.size_bytes is not None and self.size_bytes < 1:
            raise PipelineError(f"Roll(size_bytes={self.size_bytes}): expected at least 1")
        if self.every is not None:
            to_ms(self.every, what="Roll(every=…)")

    def is_full(self, size: int, age: int) -> bool:
        """Return whether a part of this size in bytes and age in milliseconds is full."""
        if self.size_bytes is not None and size >= self.size_bytes:
            return True
        return self.every is not None and age >= to_ms(self.every)


@dataclass(frozen=True)
class FileSink(Sink[Any]):
    """Writes part files into a directory, exactly-once.

    A part is called ``<prefix>-<shard>-<first batch id>.<suffix>``, for example ``part-0-000000000012.ndjson``. It
    appears when it is complete and never changes after that; until then it has a hidden name, ``.<name>.open``. By
    default each batch that has outputs is a part of its own. With ``roll``, parts collect batches until they are full.
    When the job stops in an orderly way, the open part is completed; after a crash the next start goes on with it.

    Readers should take only names that don't begin with a dot. Two sinks may share a directory if their prefixes
    differ. The hidden ``.streamproc-….json`` belongs to the sink: without it, nobody knows what is published.

    Args:
        directory: Where to write; made if it is not there.
        format: How to write rows: `Ndjson`, `Text` or `Csv`.
        roll: When a part is full; None for a part per batch.
        prefix: What the names of parts begin with.

    Raises:
        PipelineError: The prefix can't begin a visible file name.
    """

    delivery: ClassVar[Delivery] = "exactly_once"

    directory: str | os.PathLike[str]
    format: Format[Any] = Ndjson()  # noqa: RUF009  # frozen
    _: KW_ONLY
    roll: Roll | None = None
    prefix: str = "part"

    def __post_init__(self) -> None:
        if not self.prefix or self.prefix.startswith((".", "_")) or "/" in self.prefix or "\0" in self.prefix:
            raise PipelineError(
                f"FileSink(prefix={self.prefix!r}): expected the beginning of a file name, not starting with . or _"
            )

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard."""
        return PartWriter(
            Path(self.directory), self.format, None if self.roll is None else self.roll.is_full, self.prefix, context
        )
