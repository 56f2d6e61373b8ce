"""How these tests run a source: as the engine would, and with a crash wherever they like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.batch import SegmentOrigins
from streamproc.connectors.files.polled import PolledReader
from streamproc.io.source import Limits, Position, Source, SourceContext
from streamproc.testing.clock import VirtualClock
from streamproc.testing.journal import MemoryJournal

ALL = Limits(records=1_000_000, bytes=1 << 30)


class Job:
    """One source with its committed positions, which `restart` survives."""

    def __init__(self, source: Source[Any], *, shard: int = 0, shards: int = 1) -> None:
        self.source = source
        self.clock = VirtualClock(start=1_000_000)
        self.context = SourceContext("in", self.clock, MemoryJournal, shard=shard, shards=shards)
        self.positions: dict[str, Position] = {}
        self.origins: list[str] = []
        self._reader: PolledReader | None = None

    @property
    def reader(self) -> PolledReader:
        assert self._reader is not None
        return self._reader

    async def start(self) -> Job:
        reader = self.source.open(self.context)
        assert isinstance(reader, PolledReader)
        self._reader = reader
        await reader.start(dict(self.positions))
        return self

    async def batch(self, limits: Limits = ALL, *, commit: bool = True) -> list[Any]:
        """One batch: decoded, and committed unless it is to be lost in a crash."""
        taken = await self.reader.take(limits)
        assert sum(segment.count for segment in taken.segments) == len(taken.values)
        self.origins = [str(origin) for origin in SegmentOrigins("in", taken.segments)]
        if commit:
            self.commit(taken.positions)
        decoder = self.source.decoder
        assert decoder is not None
        return decoder.decode_many(taken.values)

    def commit(self, positions: Mapping[str, Position | None]) -> None:
        for partition, position in positions.items():
            if position is None:
                self.positions.pop(partition, None)
            else:
                self.positions[partition] = position

    async def rest(self, limits: Limits = ALL) -> list[Any]:
        """All batches up to the end of a source that has one."""
        values: list[Any] = []
        while not self.reader.finished:
            await self.reader.wait()
            values += await self.batch(limits)
        return values

    async def restart(self) -> None:
        """Kill -9 and start again: what was not committed is forgotten."""
        await self.close()
        await self.start()

    async def close(self) -> None:
        await self.reader.close()
