"""`FileSource`: the records of one file, read to its end or followed for ever."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal, TypeVar

from streamproc.codecs import Decoder
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.source import Source, SourceContext

from .compression import is_compressed
from .format import Format
from .polled import EmptyFeed, Feed, PolledReader
from .tail import Tail
from .whole_file import WholeFile

__all__ = ["MAX_RECORD_BYTES", "FileSource"]

T = TypeVar("T")

MAX_RECORD_BYTES = 16 << 20
"""The longest record that a file source takes, unless it is told otherwise."""


@dataclass(frozen=True)
class FileSource(Source[T]):
    """Reads one file, from its start.

    By default the file is read to its end, and then the source is finished. A last line without a line break counts.
    Files that end in ``.gz`` or ``.zst`` are decompressed (the latter needs ``pip install 'streamproc[zstd]'``).

    With ``follow=True`` the file is followed like ``tail -F`` does: what is appended is read, only complete lines
    count, the file need not exist yet, and the source is never finished. It may be rotated, while the job runs or while
    it doesn't:

    * Renamed, and a new one made: the old file is read to its end first. It is over when nothing was added to it for
      ``rotate_wait`` after a newer file is there; what its writer adds later still is not read. After a restart, the
      old file is looked for in the same directory: as ``access.log.1``, ``access.log-20240131`` and the like, also
      compressed. Files that were rotated in the meantime are read in the order of their modification times.
    * Copied, and cut to nothing (``copytruncate``): what was not read yet is read from the copy, then the file from its
      start. What can't be known: lines written between copying and cutting are nowhere; and a file that is cut and
      has grown again beyond what was read, with the same first 1,024 bytes, looks as if it had only grown. The writer
      must append (``O_APPEND``), or cutting leaves a hole. Prefer renaming.

    Every record comes exactly once, whenever the job or the machine stops. Positions name the file by its inode and
    its first bytes. Positions in error messages are line numbers.

    Args:
        path: The file.
        format: What its records are: `Text`, `Ndjson` or `Csv`.
        follow: Whether to follow the file.
        poll_interval: How often to look whether a followed file has grown.
        rotate_wait: How long a renamed file must have been quiet until it is over.
        if_lost: What to do when a followed file is gone at a restart, with what was not read of it: ``"fail"``, or
            ``"restart"`` at the start of the file that is at the path now.
        max_record_bytes: The longest record that is not an error.

    Raises:
        PipelineError: A compressed file can't be followed.
    """

    path: str | os.PathLike[str]
    format: Format[T]
    _: KW_ONLY
    follow: bool = False
    poll_interval: Duration = "200ms"
    rotate_wait: Duration = "5s"
    if_lost: Literal["fail", "restart"] = "fail"
    max_record_bytes: int = MAX_RECORD_BYTES

    def __post_init__(self) -> None:
        to_ms(self.poll_interval, what="FileSource(poll_interval=…)")
        to_ms(self.rotate_wait, what="FileSource(rotate_wait=…)", zero=True)
        if self.follow and is_compressed(Path(self.path)):
            raise PipelineError(f"FileSource({str(self.path)!r}, follow=True): a compressed file can't be followed")
        if self.max_record_bytes < 1:
            raise PipelineError(f"FileSource(max_record_bytes={self.max_record_bytes}): expected at least 1")

    @property
    def decoder(self) -> Decoder[T]:
        """How to turn raw records into values: as the format says."""
        return self.format.decoder

    def open(self, context: SourceContext) -> PolledReader:
        """Make the reader; the file is read by the first shard only."""
        return PolledReader(self._feed(context), context.clock, to_ms(self.poll_interval), bounded=not self.follow)

    def _feed(self, context: SourceContext) -> Feed:
        if context.shard != 0:
            return EmptyFeed(finished=not self.follow)
        path = Path(self.path)
        if not self.follow:
            return WholeFile(path, self.format, source=context.name, max_record_bytes=self.max_record_bytes)
        return Tail(
            path,
            self.format,
            source=context.name,
            clock=context.clock,
            max_record_bytes=self.max_record_bytes,
            rotate_wait=to_ms(self.rotate_wait, zero=True),
            if_lost=self.if_lost,
        )
