"""`DirectorySource`: every file that appears in a directory, once."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TypeVar

from streamproc.codecs import Decoder
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.source import Source, SourceContext

from .directory_feed import DirectoryFeed
from .file_source import MAX_RECORD_BYTES
from .format import Format
from .polled import PolledReader

__all__ = ["DirectorySource"]

T = TypeVar("T")


@dataclass(frozen=True)
class DirectorySource(Source[T]):
    """Reads the files of a directory: those that are there and those that will be.

    A file must be complete when it appears: write it elsewhere on the same file system, or under a name that begins
    with ``.`` or ``_``, and rename it. Files are read whole, one after the other, in the order of their modification
    times and then of their names; a file that appears later with an older time is read as well, when it is seen. Each
    is read once, by its name: a name must not be used again. Subdirectories are not looked into. Files that end in
    ``.gz`` or ``.zst`` are decompressed (the latter needs ``pip install 'streamproc[zstd]'``).

    Files that were read may stay or be removed. Which ones were read is remembered in about 12 bytes a file as long as
    the file is there, and is forgotten some time after it is gone; so remove or archive files in directories that get
    many thousands a day.

    A file that is gone before it was opened is left out. One that is gone, or shorter, while it is read and the job is
    restarted, is an error.

    Args:
        path: The directory; it must exist.
        format: What the files' records are: `Text`, `Ndjson` or `Csv`.
        pattern: Which names to read, with ``*``, ``?`` and ``[…]``; never those that begin with ``.`` or ``_``.
        watch: Whether to wait for more files. Without it the source ends with the files that are there at the start.
        poll_interval: How often to look for new files.
        max_record_bytes: The longest record that is not an error.
    """

    path: str | os.PathLike[str]
    format: Format[T]
    pattern: str = "*"
    _: KW_ONLY
    watch: bool = True
    poll_interval: Duration = "1s"
    max_record_bytes: int = MAX_RECORD_BYTES

    def __post_init__(self) -> None:
        to_ms(self.poll_interval, what="DirectorySource(poll_interval=…)")
        if self.max_record_bytes < 1:
            raise PipelineError(f"DirectorySource(max_record_bytes={self.max_record_bytes}): expected at least 1")

    @property
    def decoder(self) -> Decoder[T]:
        """How to turn raw records into values: as the format says."""
        return self.format.decoder

    def open(self, context: SourceContext) -> PolledReader:
        """Make the reader. With several shards, each reads the files whose names hash to it."""
        feed = DirectoryFeed(
            Path(self.path),
            self.pattern,
            self.format,
            source=context.name,
            shard=context.shard,
            shards=context.shards,
            max_record_bytes=self.max_record_bytes,
            watch=self.watch,
        )
        return PolledReader(feed, context.clock, to_ms(self.poll_interval), bounded=not self.watch)
