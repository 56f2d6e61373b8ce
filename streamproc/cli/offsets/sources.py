"""The sources of an app: their partitions, where the app's state says to go on, and what there is to read."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from streamproc.app import App
from streamproc.cli.target import load_app
from streamproc.dataflow.nodes import Read
from streamproc.eventtime.clock import SystemClock
from streamproc.io.source import Extent, Journal, Position, PositionFinder, SourceContext

__all__ = ["PartitionRow", "Shard", "Shards", "StateDir", "app_of", "finding", "rows_of"]

StateDir: TypeAlias = Annotated[str | None, typer.Option(metavar="DIR", help="Where state is kept.")]
"""The option that says where the app's state is."""

Shard: TypeAlias = Annotated[int | None, typer.Option(min=0, help="Which shard of the job, from zero.")]
"""The option that names a shard."""

Shards: TypeAlias = Annotated[int | None, typer.Option(min=1, help="How many shards the job has.")]
"""The option that says how many shards there are."""


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """One partition of a source.

    Attributes:
        source: The source's name.
        partition: The partition's name.
        position: Where the app goes on; None if it has read nothing of it.
        extent: What the partition holds; None if that can't be known, or it is gone.
    """

    source: str
    partition: str
    position: Position | None
    extent: Extent | None

    @property
    def start(self) -> Position | None:
        """The position of the oldest record."""
        return None if self.extent is None else self.extent.start

    @property
    def end(self) -> Position | None:
        """The position behind the newest record."""
        return None if self.extent is None else self.extent.end

    @property
    def lag(self) -> int | None:
        """How many positions lie between the app's and the end; None if they can't be counted."""
        if not (isinstance(self.position, int) and isinstance(self.end, int)):
            return None
        return max(0, self.end - self.position)


def app_of(target: str, state_dir: str | None, shard: int | None, shards: int | None) -> App:
    """Return the app that a target names, with settings from the command line."""
    given = {"state_dir": state_dir, "shard": shard, "shards": shards}
    # As `streamproc run` does: an app reads its settings when its module is imported.
    os.environ.update({f"STREAMPROC_{name.upper()}": str(value) for name, value in given.items() if value is not None})
    return load_app(target)


@asynccontextmanager
async def finding(app: App, node: Read) -> AsyncGenerator[PositionFinder | None]:
    """Open what finds positions in a source, if its positions can be found."""

    def blocked(reason: str | None) -> None:
        if reason is not None:
            typer.echo(f"{node.name} waits: {reason}", err=True)

    def journal() -> Journal:
        raise AssertionError("a source whose positions can be found keeps no journal")

    settings = app.settings
    finder = node.source.finder(
        SourceContext(node.name, SystemClock(), journal, settings.shard, settings.shards, app=app.name, blocked=blocked)
    )
    if finder is None:
        yield None
        return
    try:
        await finder.start()
        yield finder
    finally:
        await finder.close()


def rows_of(source: str, positions: Mapping[str, Position], extents: Mapping[str, Extent]) -> list[PartitionRow]:
    """Return the partitions that a source has, or that the app's state remembers of it."""
    # Beside numbers, text is what a source recognises its partitions by.
    numbered = any(isinstance(position, int) for position in positions.values())
    remembered = {name for name, position in positions.items() if isinstance(position, int) or not numbered}
    return [
        PartitionRow(source, partition, positions.get(partition), extents.get(partition))
        for partition in sorted({*remembered, *extents}, key=_in_order)
    ]


def _in_order(partition: str) -> tuple[str, int, str]:
    """Sort topic/10 behind topic/9."""
    name, _, number = partition.rpartition("/")
    return (name, int(number), "") if number.isdecimal() else (partition, 0, number)
