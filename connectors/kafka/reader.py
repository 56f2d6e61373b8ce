"""`KafkaReader`: reads the partitions of a shard.

Partitions are assigned by their numbers, ``number % shards == shard``, never by a consumer group: nothing interrupts a
batch. The group is told how far the job has come, for those who watch it, and is never asked.

A position is the offset of the next record, and the partition's name ``topic/number``. The engine is told each position
with the next batch, whether there are records or not: so "latest" is decided once, and what holds no records is passed.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from streamproc.batch import Segment
from streamproc.errors import SourceError
from streamproc.io.source import Limits, Position, SourceBatch, SourceContext, SourceReader

from .assignment import assigned_partitions
from .cluster import Cluster
from .columns import Columns, PartitionLog
from .compression import Scratch
from .fetcher import Fetcher
from .offsets import LATEST, Partition, commit_offsets, list_offsets
from .out_of_range import OutOfRange, position_instead
from .patience import patiently
from .record import KafkaRecord
from .settings import KafkaSettings
from .start import Start, first_positions
from .topic_ids import topic_ids

__all__ = ["KafkaReader", "ReadOptions"]

T = TypeVar("T")

log = logging.getLogger("streamproc.kafka")

_CLOSING_MS = 2_000
"""How long a last commit of offsets may take: it is for show."""
_RETRY_MS = 200
_LOOKED_MS = 5_000
"""For how long it is taken for granted that a partition has ended where it did: the broker says so twice a second."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a `KafkaSource` says about reading; see there."""

    topics: tuple[str, ...]
    pattern: re.Pattern[str] | None
    start: Start
    out_of_range: OutOfRange
    committed: bool
    whole: bool
    group: str | None
    discover_ms: int
    commit_ms: int
    buffer_bytes: int
    max_batch_bytes: int


class KafkaReader(SourceReader):
    """Reads the partitions of one shard.

    Args:
        settings: How to reach the cluster.
        options: What to read.
        context: What the engine gives.
    """

    def __init__(self, settings: KafkaSettings, options: ReadOptions, context: SourceContext) -> None:
        self._options = options
        self._context = context
        self._clock = context.clock
        self._group = options.group or context.app
        self._cluster = Cluster(settings, context.clock, context.blocked)
        self._fetcher = Fetcher(
            self._cluster,
            context.clock,
            context.blocked,
            committed=options.committed,
            buffer_bytes=options.buffer_bytes,
            out_of_range=self._out_of_range,
            came_back=self._check_identity,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._told: dict[Partition, int] = {}
        self._ids: dict[str, str] = {}
        self._untold: dict[str, Position | None] = {}
        self._scratch = Scratch()
        self._paused: frozenset[str] = frozenset()
        self._turn = 0
        self._ends: dict[Partition, int] | None = None
        self._published: dict[Partition, int] = {}
        self._to_commit: dict[Partition, int] = {}

    async def start(self, positions: Mapping[str, Position]) -> None:
        """Connect, find the partitions, and go to their positions."""
        self._ids = {topic: str(identity) for topic, identity in positions.items() if "/" not in topic}
        known = {self._partition(text): self._offset(text, at) for text, at in positions.items() if "/" in text}
        try:
            await self._cluster.start()
            partitions = await self._patiently(self._assigned)
            if anew := await self._made_anew({partition.topic for partition in partitions}):
                policy = self._options.out_of_range
                if policy == "fail":
                    raise self._refusal(anew)
                log.warning(
                    "made anew", extra={"source": self._context.name, "topics": list(anew), "goes_on_at": policy}
                )
                self._untold |= {str(partition): None for partition in known if partition.topic in anew}
                self._learn(anew)
                known = {partition: at for partition, at in known.items() if partition.topic not in anew}
                await self._add([partition for partition in partitions if partition.topic in anew], policy)
            lost = sorted(partition for partition in known if partition not in partitions)
            if lost:
                raise SourceError(
                    f"source {self._context.name!r} is to go on in {', '.join(map(str, lost))}, but its partitions are "
                    f"{', '.join(map(str, partitions)) or 'none'}: a topic was deleted or taken out of the source, or "
                    f"this shard had other partitions. Bring it back, or start with another state directory"
                )
            self._told = known
            await self._add([partition for partition in partitions if partition not in known], self._options.start)
        except (KafkaError, OSError) as error:
            self._give_up(error)
        self._tasks = [
            asyncio.create_task(task, name=f"{name} of {self._context.name}")
            for name, task in (
                ("fetching", self._fetcher.run()),
                ("discovery", self._discover()),
                ("offsets", self._commit_now_and_then()),
            )
        ]

    async def take(self, limits: Limits) -> SourceBatch:
        """Return records that have arrived, from each partition in turn."""
        self._check()
        values: list[Any] = []
        times: list[int] | None = [] if self._context.timed else None
        segments: list[Segment] = []
        moved, self._untold = self._untold, {}
        size = 0
        logs = self._going_on()
        self._turn += 1
        first = self._turn % max(1, len(logs))
        for partition_log in logs[first:] + logs[:first]:
            partition = partition_log.partition
            end = None if self._ends is None else self._ends.get(partition, 0)
            while len(values) < limits.records and size < limits.bytes:
                taken = partition_log.take(limits.records - len(values), limits.bytes - size, end, some=not values)
                if taken is None:
                    break
                values += self._rows(partition, taken)
                if times is not None:
                    times += [record.timestamp for record in taken.records]
                size += taken.size
                segments.append(taken.segment(partition))
            if partition_log.position != self._told.get(partition):
                moved[str(partition)] = self._told[partition] = partition_log.position
        self._fetcher.taken()
        more = any(self._is_due(log) for log in logs)
        return SourceBatch(values, segments, moved, times, more=more, caught_up=self._caught_up())

    def pause(self, partitions: Collection[str]) -> None:
        """Take nothing from some partitions; up to a buffer's size is fetched of them."""
        self._paused = frozenset(partitions)

    async def wait(self) -> None:
        """Return once records have arrived, or all that was to be read is."""
        while not (self.finished or any(map(self._is_due, self._going_on()))):
            self._check()
            await self._fetcher.arrived()
        self._check()

    @property
    def finished(self) -> bool:
        """Whether everything that was there at the call of `bound` was taken."""
        if self._ends is None:
            return False
        return all(self._fetcher.logs[partition].position >= end for partition, end in self._ends.items())

    async def bound(self) -> None:
        """Read up to the end of now."""
        partitions = dict.fromkeys(self._fetcher.logs, LATEST)
        try:
            ends = await self._patiently(
                lambda: list_offsets(self._cluster, partitions, committed=self._options.committed)
            )
        except (KafkaError, OSError) as error:
            self._give_up(error)
        self._ends = {partition: end or 0 for partition, end in ends.items()}

    async def acknowledge(self, positions: Mapping[str, Position | None]) -> None:
        """Have the group told, now and then, how far results are published."""
        for text, offset in positions.items():
            if isinstance(offset, int):
                self._published[self._partition(text)] = self._to_commit[self._partition(text)] = offset

    async def close(self) -> None:
        """Tell the group the last positions, and disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._to_commit:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_MS / 1000):
                    while not await self._commit():
                        await self._clock.sleep_until(self._clock.now() + _RETRY_MS)
        await self._cluster.close()

    def _rows(self, partition: Partition, taken: Columns) -> list[Any]:
        if not self._options.whole:
            return taken.values
        topic, number = partition
        return [
            KafkaRecord(r.key, r.value, topic, number, r.offset, r.timestamp, tuple(r.headers)) for r in taken.records
        ]

    def _going_on(self) -> list[PartitionLog]:
        """Return the partitions that are not paused."""
        logs = self._fetcher.logs
        if not self._paused:
            return list(logs.values())
        return [log for partition, log in logs.items() if str(partition) not in self._paused]

    def _caught_up(self) -> dict[str, bool]:
        since = self._clock.now() - _LOOKED_MS
        ends = self._ends
        return {
            str(partition): log.caught_up(since) or (ends is not None and log.position >= ends.get(partition, 0))
            for partition, log in self._fetcher.logs.items()
        }

    def _is_due(self, partition_log: PartitionLog) -> bool:
        """Return whether a partition has something to take."""
        if not partition_log.has_records:
            return False
        return self._ends is None or partition_log.position < self._ends.get(partition_log.partition, 0)

    def _check(self) -> None:
        """Raise what a background task has failed with."""
        self._fetcher.check()
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _assigned(self) -> list[Partition]:
        return await assigned_partitions(self._cluster, self._options.topics, self._options.pattern, self._context)

    async def _add(self, new: Collection[Partition], start: Start) -> None:
        """Read partitions: those with a committed position from there, new ones from the start of choice."""
        options = self._options
        # Where a topic has positions already, a partition is one that was made later: nothing of it was seen yet.
        topics = {partition.topic for partition in self._told}
        later = [partition for partition in new if partition.topic in topics]
        first = [partition for partition in new if partition.topic not in topics]
        positions = dict(self._told)
        for partitions, begin in ((first, start), (later, "earliest")):
            positions |= await self._patiently(
                functools.partial(first_positions, self._cluster, partitions, begin, committed=options.committed)
            )
        self._fetcher.add(
            {
                partition: PartitionLog(
                    partition,
                    offset,
                    committed=options.committed,
                    whole=options.whole or self._context.timed,
                    max_batch_bytes=options.max_batch_bytes,
                    scratch=self._scratch,
                )
                for partition, offset in positions.items()
                if partition not in self._fetcher.logs
            }
        )

    async def _discover(self) -> None:
        """Look for new partitions and topics now and then."""
        while True:
            await self._clock.sleep_until(self._clock.now() + self._options.discover_ms)
            try:
                found = await self._assigned()
                if anew := await self._made_anew({partition.topic for partition in found}):
                    self._fetcher.fail(self._refusal(anew))
                    return
                logs = self._fetcher.logs
                new = [partition for partition in found if partition not in logs]
                if new and self._ends is None:
                    await self._add(new, "earliest")
                    log.info(
                        "found partitions", extra={"source": self._context.name, "partitions": list(map(str, new))}
                    )
            except (KafkaError, OSError, SourceError) as error:
                # Fetching has the same trouble, and says so where it matters.
                log.debug("looking for partitions failed", extra={"source": self._context.name, "error": str(error)})

    async def _made_anew(self, topics: Collection[str]) -> dict[str, str]:
        """Return the topics that are others than before under the same names, with their identities.

        Those of all others are learned. These are not: offsets of the topics before must not be committed with them.
        """
        found = await self._patiently(functools.partial(topic_ids, self._cluster, topics))
        anew = {topic: identity for topic, identity in found.items() if self._ids.get(topic, identity) != identity}
        self._learn({topic: identity for topic, identity in found.items() if topic not in anew})
        return anew

    def _learn(self, identities: Mapping[str, str]) -> None:
        """Have the engine told the identities of topics."""
        self._untold |= {topic: found for topic, found in identities.items() if self._ids.get(topic) != found}
        self._ids |= identities

    async def _check_identity(self, partition: Partition) -> None:
        """Look whether a partition is the one before, as it was gone, or its position is.

        Raises:
            SourceError: It is another one.
        """
        if anew := await self._made_anew([partition.topic]):
            error = self._refusal(anew)
            # At once, and not only when everything else that is fetched has ended.
            self._fetcher.fail(error)
            raise error

    def _refusal(self, anew: Collection[str]) -> SourceError:
        names = ", ".join(map(repr, sorted(anew)))
        return SourceError(
            f"source {self._context.name!r}: topic {names} was deleted and made anew, so the "
            f"app's offsets are those of other records. To read it from its beginning, start once with "
            f'KafkaSource(out_of_range="earliest"), or move there by `streamproc offsets reset … --to earliest`'
        )

    async def _out_of_range(self, partition: Partition, offset: int) -> int:
        """Return where to go on in a partition whose position isn't there.

        Raises:
            SourceError: It is another one, or the policy is to fail.
        """
        await self._check_identity(partition)
        return await position_instead(self._cluster, partition, offset, self._options.out_of_range, self._context)

    async def _commit_now_and_then(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now() + self._options.commit_ms)
            await self._commit()

    async def _commit(self) -> bool:
        """Tell the group what is published, and return whether it knows; what has no records counts as read."""
        logs = self._fetcher.logs
        for partition, offset in list(self._published.items()):
            if offset == self._told[partition] < logs[partition].position and not logs[partition].has_records:
                self._to_commit[partition] = self._published[partition] = logs[partition].position
        offsets, self._to_commit = self._to_commit, {}
        if not offsets:
            return True
        try:
            await commit_offsets(self._cluster, self._group, offsets)
        except (KafkaError, OSError) as error:
            self._to_commit = offsets | self._to_commit
            if not isinstance(error, KafkaError) or not error.retriable:
                log.info("the group can't be told offsets", extra={"group": self._group, "error": repr(error)})
            return False
        return True

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await patiently(ask, self._cluster, self._context)

    def _partition(self, text: str) -> Partition:
        try:
            return Partition.parse(text)
        except ValueError as error:
            raise SourceError(f"source {self._context.name!r} can't go on in {text!r}: {error}") from None

    def _offset(self, partition: str, position: Position) -> int:
        if not isinstance(position, int):
            raise SourceError(
                f"source {self._context.name!r} can't go on in {partition} at {position!r}: expected an offset"
            )
        return position

    def _give_up(self, error: Exception) -> NoReturn:
        raise SourceError(
            f"source {self._context.name!r} can't read from Kafka at {self._cluster.address}: "
            f"{type(error).__name__}: {error}"
        ) from error
