"""The open sources of a shard, as one."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from streamproc.batch import Batch, Run, SegmentOrigins
from streamproc.dataflow.nodes import Read
from streamproc.engine.blocked import Blocked
from streamproc.engine.job import Job
from streamproc.engine.waiting import first
from streamproc.eventtime.partitions import Partition
from streamproc.io.source import Journal, Limits, Position, SourceBatch, SourceContext, SourceReader
from streamproc.state.ledger import Ledger
from streamproc.watermark import END_OF_TIME, Watermark

__all__ = ["Inputs", "Taken"]

log = logging.getLogger("streamproc.engine")


@dataclass(frozen=True, slots=True)
class Taken:
    """What all sources gave for one batch.

    Attributes:
        batches: Their rows, by the sources' names.
        positions: Where each source goes on, by name and partition.
        records: How many rows there are.
        more: Whether a source stopped at a limit.
        ended: The sources that will never give anything again.
    """

    batches: Mapping[str, SourceBatch]
    positions: Mapping[str, Mapping[str, Position | None]]
    records: int
    more: bool
    ended: frozenset[str]

    def as_batches(self, trigger_time: int, *, final: bool, timed: Set[str], tracked: Set[str]) -> dict[str, Batch]:
        """Return the rows as the operators read them.

        Args:
            trigger_time: The batch's time; also the watermark, which event time replaces where there is any.
            final: Whether this is the last batch: all sources have ended.
            timed: The sources whose own timestamps are asked for; records of others have the batch's time.
            tracked: The sources whose partitions are to be told apart.
        """
        watermark = Watermark(END_OF_TIME if final else trigger_time)
        return {
            name: Batch(
                batch.values,
                None,
                batch.timestamps if name in timed else None,
                SegmentOrigins(name, batch.segments),
                watermark,
                _runs(name, batch) if name in tracked else None,
            )
            for name, batch in self.batches.items()
        }

    @property
    def caught_up(self) -> dict[Partition, bool]:
        """For each partition that is read, whether everything that is in it was taken."""
        found: dict[Partition, bool] = {}
        for name, batch in self.batches.items():
            if name in self.ended:
                continue
            if batch.caught_up is None:
                found[Partition(name, "")] = not batch.more
            else:
                found |= {Partition(name, partition): done for partition, done in batch.caught_up.items()}
        return found


def _runs(name: str, batch: SourceBatch) -> list[Run]:
    if batch.caught_up is None:
        return [Run(name, "", len(batch.values))]
    return [Run(name, segment.partition, segment.count) for segment in batch.segments]


class Inputs:
    """Opens, reads and closes the sources of a plan for one shard."""

    def __init__(self, nodes: Sequence[Read], job: Job, ledger: Ledger, blocked: Blocked, *, timed: Set[str]) -> None:
        self._ledger = ledger
        self._limits = Limits(job.max_records, job.max_bytes)
        self._journaled: set[str] = set()
        self._paused: Set[Partition] = frozenset()
        self._readers: dict[str, SourceReader] = {
            node.name: node.source.open(
                SourceContext(
                    name=node.name,
                    clock=job.clock,
                    journal=functools.partial(self._open_journal, node.name),
                    shard=job.shard,
                    shards=job.shards,
                    step=job.step,
                    app=job.app,
                    timed=node.name in timed,
                    blocked=blocked.reporter(node.name),
                )
            )
            for node in nodes
        }

    def _open_journal(self, name: str) -> Journal:
        self._journaled.add(name)
        return self._ledger.journal(name)

    @property
    def readers(self) -> Mapping[str, SourceReader]:
        """The readers by the sources' names."""
        return self._readers

    @property
    def finished(self) -> bool:
        """Whether all inputs have been read to their ends."""
        return all(reader.finished for reader in self._readers.values())

    @property
    def ended(self) -> bool:
        """Whether, besides, no later run will find more: then time itself ends."""
        return self.finished and all(reader.bounded for reader in self._readers.values())

    @property
    def journaled(self) -> frozenset[str]:
        """The sources that keep what they receive in the journal."""
        return frozenset(self._journaled)

    async def start(self, *, once: bool) -> None:
        """Open all sources at their committed positions, and bound them if they are to be read once."""
        for name, reader in self._readers.items():
            await reader.start(self._ledger.positions(name))
            if once:
                await reader.bound()

    async def take(self) -> Taken:
        """Take what is here from each source."""
        batches = {
            name: SourceBatch([]) if self._is_paused(name) else await reader.take(self._limits)
            for name, reader in self._readers.items()
        }
        return Taken(
            batches,
            {name: batch.positions for name, batch in batches.items() if batch.positions},
            sum(len(batch.values) for batch in batches.values()),
            any(batch.more for batch in batches.values()),
            frozenset(name for name, reader in self._readers.items() if reader.finished and reader.bounded),
        )

    async def wait(self) -> None:
        """Return once a source that isn't paused has a record or has finished."""
        if self.finished:
            return
        waits = [
            reader.wait() for name, reader in self._readers.items() if not (reader.finished or self._is_paused(name))
        ]
        if waits:
            await first(*waits)
        else:
            await asyncio.get_running_loop().create_future()

    def pause(self, partitions: Set[Partition]) -> None:
        """Take nothing from these partitions until the next call, and go on with all others."""
        if partitions == self._paused:
            return
        for name, reader in self._readers.items():
            before, now = ({p.name for p in paused if p.source == name} for paused in (self._paused, partitions))
            if before - {""} != now - {""}:
                reader.pause(now - {""})
        self._paused = partitions

    def _is_paused(self, name: str) -> bool:
        """Return whether a source that doesn't tell partitions apart is paused."""
        return Partition(name, "") in self._paused

    async def acknowledge(self, positions: Mapping[str, Mapping[str, Position | None]]) -> None:
        """Tell the sources that everything before these positions is published."""
        for name, moved in positions.items():
            await self._readers[name].acknowledge(moved)

    async def close(self) -> None:
        """Close all sources; what one of them raises does not keep the others open."""
        for name, reader in self._readers.items():
            try:
                await reader.close()
            except Exception:
                log.exception("closing a source failed", extra={"source": name})
