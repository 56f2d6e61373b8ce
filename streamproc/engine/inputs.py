"""The open sources of a shard, as one."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from streamproc.batch import Batch, SegmentOrigins
from streamproc.dataflow.nodes import Read
from streamproc.engine.blocked import Blocked
from streamproc.engine.job import Job
from streamproc.engine.run import END_OF_TIME
from streamproc.engine.waiting import first
from streamproc.io.source import Journal, Limits, Position, SourceBatch, SourceContext, SourceReader
from streamproc.state.ledger import Ledger

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
    """

    batches: Mapping[str, SourceBatch]
    positions: Mapping[str, Mapping[str, Position | None]]
    records: int
    more: bool

    def as_batches(self, trigger_time: int, *, final: bool, timed: Set[str]) -> dict[str, Batch]:
        """Return the rows as the operators read them.

        Args:
            trigger_time: The batch's time; also the watermark, which event time replaces where there is any.
            final: Whether this is the last batch: all sources have ended.
            timed: The sources whose own timestamps are asked for; records of others have the batch's time.
        """
        watermark = END_OF_TIME if final else trigger_time
        return {
            name: Batch(
                batch.values,
                None,
                batch.timestamps if name in timed else None,
                SegmentOrigins(name, batch.segments),
                watermark,
            )
            for name, batch in self.batches.items()
        }


class Inputs:
    """Opens, reads and closes the sources of a plan for one shard."""

    def __init__(self, nodes: Sequence[Read], job: Job, ledger: Ledger, blocked: Blocked, *, timed: Set[str]) -> None:
        self._ledger = ledger
        self._limits = Limits(job.max_records, job.max_bytes)
        self._journaled: set[str] = set()
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
        batches = {name: await reader.take(self._limits) for name, reader in self._readers.items()}
        return Taken(
            batches,
            {name: batch.positions for name, batch in batches.items() if batch.positions},
            sum(len(batch.values) for batch in batches.values()),
            any(batch.more for batch in batches.values()),
        )

    async def wait(self) -> None:
        """Return once a source has a record or has finished."""
        if not self.finished:
            await first(*(reader.wait() for reader in self._readers.values() if not reader.finished))

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
