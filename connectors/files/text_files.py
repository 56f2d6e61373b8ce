"""`TextFilesSink`: one text file per batch, named by its time; what `save_as_text_files` writes to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from streamproc.batch import Batch
from streamproc.errors import PipelineError, SinkError
from streamproc.io.sink import Delivery, OutboxEntry, Sink, SinkContext, SinkWriter

from . import durable
from .manifest import Manifest, ManifestFile, read_manifest
from .one_at_a_time import OneAtATime

__all__ = ["TextFilesSink"]


@dataclass(frozen=True)
class TextFilesSink(Sink[Any]):
    """Writes each batch that has outputs to the file ``<prefix>-<batch time in epoch milliseconds>.<suffix>``.

    A row is a line with `str` of it, also a row with a key: ``('a', 1)``. Files appear complete. Exactly-once, because
    two batches never have the same time, and a batch that is published again replaces its file with the same bytes.
    With several shards, ``-<shard>`` follows the time. A hidden ``.streamproc-….json`` in the directory remembers the
    last batch.

    Args:
        prefix: A path, for example ``"out/counts"``; directories are made.
        suffix: What comes behind the last dot; without it there is no dot.

    Raises:
        PipelineError: The prefix ends in no file name.
    """

    delivery: ClassVar[Delivery] = "exactly_once"

    prefix: str | os.PathLike[str]
    suffix: str = ""

    def __post_init__(self) -> None:
        if os.fspath(self.prefix).endswith(("/", os.sep)) or not Path(self.prefix).name:
            raise PipelineError(
                f"TextFilesSink({os.fspath(self.prefix)!r}): expected a path that ends with a part of a file name"
            )

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard."""
        return _TextFilesWriter(Path(self.prefix), self.suffix, context)


class _TextFilesWriter(SinkWriter):
    def __init__(self, prefix: Path, suffix: str, context: SinkContext) -> None:
        self._prefix = prefix
        self._end = (f"-{context.shard}" if context.shards > 1 else "") + (f".{suffix.lstrip('.')}" if suffix else "")
        self._context = context
        self._files = OneAtATime()
        self._manifest_file = ManifestFile(prefix.parent, context, self._files)
        self._last = 0

    async def start(self) -> int | None:
        """Make the directory, and return the last published batch id, if one is known."""
        try:
            await self._files.run(self._prefix.parent.mkdir, parents=True, exist_ok=True)
            found = await self._files.run(read_manifest, self._manifest_file.path)
        except OSError as error:
            raise SinkError(f"sink {self._context.name!r} can't use {self._prefix.parent}: {error}") from error
        self._last = 0 if found is None else found.batch
        return None if found is None else found.batch

    def encode(self, batch: Batch) -> bytes:
        """Return a batch's rows as lines."""
        return "".join(f"{row!s}\n" for row in batch.rows()).encode()

    async def publish(self, entry: OutboxEntry) -> None:
        """Write a batch to its file."""
        if entry.batch_id <= self._last:
            return
        path = self._prefix.with_name(f"{self._prefix.name}-{entry.time}{self._end}")
        aside = path.with_name(f".{path.name}.open")
        try:
            await self._files.run(durable.write, aside, entry.payload)
            self._context.step("text_file_written")
            await self._files.run(durable.rename, aside, path)
            self._context.step("text_file_renamed")
            await self._files.run(durable.sync_directory, path.parent)
            self._context.step("text_file_name_synced")
            context = self._context
            await self._manifest_file.replace(
                Manifest(
                    app=context.app,
                    sink=context.name,
                    shard=context.shard,
                    prefix=self._prefix.name,
                    batch=entry.batch_id,
                )
            )
        except OSError as error:
            raise SinkError(f"sink {self._context.name!r} can't write {path}: {error}") from error
        self._last = entry.batch_id

    async def close(self) -> None:
        """Wait for a write that is under way."""
        await self._files.settle()
