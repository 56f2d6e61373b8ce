"""`Manifest`: what one shard of a sink of files has published, and the file that says so.

The file is replaced as a whole, so it is always the one before or the one after, never torn.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import msgspec

from streamproc.errors import SinkError
from streamproc.io.sink import SinkContext

from . import durable
from .one_at_a_time import OneAtATime

__all__ = ["Manifest", "ManifestFile", "read_manifest"]

_FORMAT = 1


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The durable state of one shard of a sink.

    Attributes:
        format: The version of this file's format.
        app: The app that writes here.
        sink: The operator name of its sink.
        shard: The shard.
        prefix: What the names of its part files begin with.
        batch: The last published batch. The rest is for sinks whose parts hold several batches.
        part: The final name of the part that is open; None if none is.
        length: How many bytes of the open part are published.
        opened: The trigger time of the open part's first batch, in epoch milliseconds.
        header: The header of the open part.
    """

    format: int = _FORMAT
    app: str
    sink: str
    shard: int
    prefix: str
    batch: int = 0
    part: str | None = None
    length: int = 0
    opened: int = 0
    header: str = ""

    def encode(self) -> bytes:
        """Return the content of the manifest file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class ManifestFile:
    """The manifest file of one shard of a sink.

    Args:
        directory: Where it is.
        context: Whose it is.
        files: Runs the blocking calls.
    """

    def __init__(self, directory: Path, context: SinkContext, files: OneAtATime) -> None:
        app, sink = quote(context.app, safe=""), quote(context.name, safe="")
        self.path = directory / f".streamproc-{app}-{sink}-{context.shard}.json"
        self._step = context.step
        self._files = files

    async def replace(self, manifest: Manifest) -> None:
        """Make a manifest the one that counts; durable."""
        aside = self.path.with_name(f"{self.path.name}.open")
        await self._files.run(durable.write, aside, manifest.encode())
        self._step("manifest_written")
        await self._files.run(durable.rename, aside, self.path)
        self._step("manifest_renamed")
        await self._files.run(durable.sync_directory, self.path.parent)
        self._step("manifest_name_synced")


def read_manifest(path: Path) -> Manifest | None:
    """Return what a manifest file says, or None if there is no such file.

    Raises:
        SinkError: It is damaged, or of a format that this program does not know.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise SinkError(
            f"{path} is damaged ({error}): which batches are published in {path.parent} is not known. "
            "Restore it from a backup, or use another directory"
        ) from error
    if manifest.format != _FORMAT:
        raise SinkError(f"{path} has format {manifest.format}, this version of streamproc reads {_FORMAT}")
    return manifest
