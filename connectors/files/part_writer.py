"""`PartWriter`: publishes batches to part files by a protocol in which a crash may come at any point.

The directory holds complete parts, at most one open part of this shard as ``.<name>.open``, and the manifest. The
manifest is the only truth about what is published: batch ids up to ``batch``, and of the open part the first ``length``
bytes. Publishing batch N changes the files in this order, each step durable before the next:

1. A new part is written with the batch; or the open part is cut to ``length`` and the batch is appended.
2. If the part is now full, it gets its final name.
3. The manifest is replaced by one that says N.

A crash leaves the manifest at the batch before. Then the same batch comes again, with the same bytes and time, and:

* before 2, step 1 writes or cuts away whatever is there;
* between 2 and 3, the part has its final name already, and ends with the batch (or is the batch): it is recognised by
  its size and these bytes, and only 3 is missing;
* a part that has its final name at exactly ``length`` was completed because the batch has another header, or by an
  interrupted `close`, which `start` mends: it is over, and the batch begins a new part.

Anything else means that somebody else has touched the files: a `SinkError`, never a guess.
"""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, ParamSpec

import msgspec

from streamproc.batch import Batch
from streamproc.errors import SinkError
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter

from . import durable
from .format import Format, Rows
from .manifest import Manifest, ManifestFile, read_manifest
from .one_at_a_time import OneAtATime
from .payload import pack_rows, unpack_rows

__all__ = ["PartWriter"]

P = ParamSpec("P")


class PartWriter(SinkWriter):
    """Writes the parts of one shard.

    Args:
        directory: Where to write.
        format: How to write rows.
        is_full: Whether a part of some size in bytes and age in milliseconds is full; None if each batch is a part.
        prefix: What the names of parts begin with.
        context: What the engine gives.
    """

    def __init__(
        self,
        directory: Path,
        format: Format[Any],
        is_full: Callable[[int, int], bool] | None,
        prefix: str,
        context: SinkContext,
    ) -> None:
        self._directory = directory
        self._format = format
        self._is_full = is_full
        self._prefix = prefix
        self._context = context
        self._manifest = Manifest(app=context.app, sink=context.name, shard=context.shard, prefix=prefix)
        self._started = False
        self._files = OneAtATime()
        self._manifest_file = ManifestFile(directory, context, self._files)

    async def start(self) -> int | None:
        """Make the directory, check what is in it, and return the last published batch id, if one is known."""
        try:
            found = await self._files.run(self._open_directory)
            self._started = True
            if found is None:
                return None
            self._manifest = found
            if found.part is not None:
                await self._mend(found.part)
            return found.batch
        except OSError as error:
            raise SinkError(f"{self._me} can't write to {self._directory}: {error}") from error

    def encode(self, batch: Batch) -> bytes:
        """Return a batch's rows in the sink's format."""
        return pack_rows(self._format.encode(batch))

    async def publish(self, entry: OutboxEntry) -> None:
        """Write a batch to the open part or to a new one."""
        if entry.batch_id <= self._manifest.batch:
            return
        rows = unpack_rows(entry.payload)
        try:
            part = self._manifest.part
            state = "over" if part is None else await self._files.run(self._look_at_part, part, rows.body)
            if part is not None and state == "open" and rows.header.decode(errors="replace") != self._manifest.header:
                await self._complete_part(part)
                state = "over"
            if state == "published":
                await self._replace_manifest(batch=entry.batch_id, part=None)
            elif part is not None and state == "open":
                await self._append(part, entry, rows)
            else:
                await self._begin(entry, rows)
        except OSError as error:
            raise SinkError(
                f"{self._me} can't write batch {entry.batch_id} to {self._directory}: {error}. The batch is kept and "
                "will be published after the next start"
            ) from error

    async def close(self) -> None:
        """Complete the open part, so that readers get it."""
        await self._files.settle()
        part = self._manifest.part
        if self._started and part is not None and self._aside(part).exists():
            await self._complete_part(part)
            await self._replace_manifest(part=None)

    async def _mend(self, part: str) -> None:
        """Finish what a `close` has left half done, and end a part that can't be gone on with."""
        if self._aside(part).exists():
            if self._fits(part):
                return
            await self._complete_part(part)
        elif (self._directory / part).stat().st_size != self._manifest.length:
            # It was completed with a batch that the manifest does not have yet; that batch comes again.
            return
        await self._replace_manifest(part=None)

    async def _begin(self, entry: OutboxEntry, rows: Rows) -> None:
        """Publish a batch as the beginning of a new part."""
        part = f"{self._stem}{entry.batch_id:012d}.{self._format.suffix}"
        if await self._files.run(self._is_written, part, rows):
            await self._replace_manifest(batch=entry.batch_id, part=None)
            return
        await self._step("part_written", durable.write, self._aside(part), rows.header, rows.body)
        length = len(rows.header) + len(rows.body)
        if self._is_full is None or self._is_full(length, 0):
            await self._give_final_name(part)
            await self._replace_manifest(batch=entry.batch_id, part=None)
            return
        await self._step("part_begun", durable.sync_directory, self._directory)
        header = rows.header.decode(errors="replace")
        await self._replace_manifest(batch=entry.batch_id, part=part, length=length, opened=entry.time, header=header)

    async def _append(self, part: str, entry: OutboxEntry, rows: Rows) -> None:
        """Publish a batch as a continuation of the open part."""
        length = self._manifest.length + len(rows.body)
        await self._step("part_written", durable.append_at, self._aside(part), self._manifest.length, rows.body)
        if self._is_full is None or self._is_full(length, entry.time - self._manifest.opened):
            await self._give_final_name(part)
            await self._replace_manifest(batch=entry.batch_id, part=None)
        else:
            await self._replace_manifest(batch=entry.batch_id, length=length)

    async def _complete_part(self, part: str) -> None:
        """Make the open part visible with what is published of it."""
        await self._step("part_cut", durable.truncate, self._aside(part), self._manifest.length)
        await self._give_final_name(part)

    async def _give_final_name(self, part: str) -> None:
        await self._step("part_renamed", durable.rename, self._aside(part), self._directory / part)
        await self._step("part_name_synced", durable.sync_directory, self._directory)

    async def _replace_manifest(self, **changes: Any) -> None:
        if "part" in changes and changes["part"] is None:
            changes |= {"length": 0, "opened": 0, "header": ""}
        manifest = msgspec.structs.replace(self._manifest, prefix=self._prefix, **changes)
        await self._manifest_file.replace(manifest)
        self._manifest = manifest

    async def _step(self, name: str, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        await self._files.run(function, *args, **kwargs)
        self._context.step(name)

    def _open_directory(self) -> Manifest | None:
        """Return this shard's manifest after checking that the directory agrees with it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in self._directory.glob(".streamproc-*.json"):
            other = read_manifest(path) if path != self._manifest_file.path else None
            if other is not None and (other.prefix, other.shard) == (self._prefix, self._context.shard):
                raise SinkError(
                    f"{self._me} would write the same part files as sink {other.sink!r} of app {other.app!r} "
                    f"({path}): give it another directory or prefix, or remove that file if that app is no more"
                )
        manifest = read_manifest(self._manifest_file.path)
        part = None if manifest is None else manifest.part
        for stray in self._directory.glob(f".{glob.escape(self._stem)}*.open"):
            # Written for a batch that was not published; it comes again.
            if part is None or stray != self._aside(part):
                stray.unlink()
        if manifest is not None and part is not None:
            path = self._aside(part) if self._aside(part).exists() else self._directory / part
            if not path.exists() or path.stat().st_size < manifest.length:
                raise self._not_ours(path, f"at least {manifest.length} bytes")
        return manifest

    def _look_at_part(self, part: str, body: bytes) -> Literal["open", "published", "over"]:
        """Return how far publishing a batch to the open part has come before."""
        length = self._manifest.length
        if (aside := self._aside(part)).exists():
            if aside.stat().st_size < length:
                raise self._not_ours(aside, f"at least {length} bytes")
            return "open"
        path = self._directory / part
        size = path.stat().st_size if path.exists() else -1
        if size == length:
            return "over"
        if size == length + len(body):
            with path.open("rb") as file:
                file.seek(length)
                if file.read() == body:
                    return "published"
        raise self._not_ours(path, f"{length} bytes, or these and the {len(body)} bytes of the next batch")

    def _is_written(self, part: str, rows: Rows) -> bool:
        """Return whether a part that a batch begins has its final name already."""
        path = self._directory / part
        if not path.exists():
            return False
        if path.read_bytes() != rows.header + rows.body:
            raise self._not_ours(path, f"no such file, or the {len(rows.header) + len(rows.body)} bytes of its batch")
        return True

    def _fits(self, part: str) -> bool:
        """Return whether an open part can be gone on with, as the sink is defined now."""
        return self._is_full is not None and part.startswith(self._stem) and part.endswith(f".{self._format.suffix}")

    def _not_ours(self, path: Path, expected: str) -> SinkError:
        size = f"{path.stat().st_size} bytes" if path.exists() else "no such file"
        return SinkError(
            f"{self._me}: {path} is not what was published to it: expected {expected}, found {size}. Something else "
            "has changed the directory, or the job's state is of another one: restore it, or use an empty directory"
        )

    def _aside(self, part: str) -> Path:
        return self._directory / f".{part}.open"

    @property
    def _stem(self) -> str:
        return f"{self._prefix}-{self._context.shard}-"

    @property
    def _me(self) -> str:
        return f"sink {self._context.name!r} of app {self._context.app!r}"
