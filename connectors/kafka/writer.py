"""`KafkaWriter`: publishes batches, each in one transaction with its mark and the offsets of its sources.

    start       look at the mark; give way if it is ahead of our state (only the engine can say so properly)
                new epoch: whoever was before us can't commit any more; read the mark again, now it is the truth
                take over: a transaction with the mark, owned by us
    publish     a transaction: records, source offsets, mark with the batch id; then wait until all of it is visible
                whatever goes wrong: new epoch, read the mark, and begin anew or be done if it has the batch
    each day    a transaction with the mark alone: brokers forget groups and transactional ids that nobody uses

A new epoch of ours fences an older instance, and its attempt to go on fences us in turn; that is why the mark has an
owner. Who is fenced takes a new epoch and looks: if the mark is its own, it was a time-out and it goes on; if not,
another instance has taken over, and it stops for good. So the one that has written the mark last wins, and nobody else
publishes: a transaction of another fails, as its epoch is older, before or at its end.

A mark that isn't there any more is no other instance's. What this instance has committed is published on, as no other
can have published it; what an earlier one has left in the outbox is refused, as nobody knows whether it is published.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass
from typing import NoReturn

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from streamproc.batch import Batch
from streamproc.errors import EncodeError, FencedError, SinkError, StreamprocError
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter

from .cluster import Cluster
from .mark import Mark, MarkPlace
from .offsets import LATEST, Committed, Partition, list_offsets
from .open_transactions import open_transactions
from .outgoing import Encoding, Outgoing, decode_payload
from .partitioner import Partitioner
from .patience import patiently
from .settings import KafkaSettings
from .transaction import EpochFencedError, Producer, StartAgainError

__all__ = ["KafkaWriter", "WriteOptions"]

log = logging.getLogger("streamproc.kafka")

_VISIBLE_MS = (1, 1, 2, 2, 5, 5, 10, 20, 50, 100, 100)
"""How long to wait between looks whether a committed transaction is visible, until it is ended again."""
_PAUSES_MS = (50, 100, 200, 500, 1_000)
"""How long to wait before a further attempt; then always the last."""
_DAY_MS = 24 * 60 * 60 * 1_000
"""How often the mark is written at least; groups and transactional ids expire after a week, unless brokers differ."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What a `KafkaSink` says about publishing; see there.

    Attributes:
        topics: All topics that records go to; the first has the mark.
        encoding: How rows become records.
        exactly_once: Whether batches are transactions.
        timeout_ms: After how long brokers abort a transaction that isn't ended.
        groups: By the names of sources in this cluster, the group that is told their offsets.
    """

    topics: tuple[str, ...]
    encoding: Encoding
    exactly_once: bool
    timeout_ms: int
    groups: Mapping[str, str]


class KafkaWriter(SinkWriter):
    """Writes to the topics of one sink for one shard.

    Args:
        settings: How to reach the cluster.
        options: What to write.
        context: What the engine gives.
    """

    def __init__(self, settings: KafkaSettings, options: WriteOptions, context: SinkContext) -> None:
        self._options = options
        self._context = context
        self._clock = context.clock
        self._cluster = Cluster(settings, context.clock, context.blocked)
        self._partitioner = Partitioner()
        # The shard's own: also the names of transactions and groups of other shards begin with the app's.
        transactional_id = f"{context.app}-{context.shard}-{context.name}" if options.exactly_once else None
        self._producer = Producer(self._cluster, context.clock, transactional_id, options.timeout_ms)
        self._place = MarkPlace(
            f"streamproc.{context.app}.{context.name}.{context.shard}", Partition(options.topics[0], 0)
        )
        self._me = secrets.token_hex(8)
        self._counts: dict[str, int] = {}
        self._published: int | None = None
        self._ready = False
        self._in_doubt = False
        self._ended: int | None = None
        self._ends: dict[Partition, int] = {}
        self._turn = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> int | None:
        """Connect, take over, and return the last published batch."""
        try:
            await self._cluster.start()
            await patiently(self._find_topics, self._cluster, self._context)
        except (KafkaError, OSError) as error:
            self._give_up(error)
        if self._options.exactly_once:
            await self._again_and_again(self._take_over)
        if self._ready:
            self._keeping = asyncio.create_task(self._keep_mark(), name=f"mark of {self._context.name}")
        return self._published

    def encode(self, batch: Batch) -> bytes:
        """Return rows as record batches."""
        return self._options.encoding.encode(batch, self._partitioner, self._partitions)

    async def publish(self, entry: OutboxEntry) -> None:
        """Write a batch."""
        if self._published is not None and entry.batch_id <= self._published:
            return
        batches = decode_payload(entry.payload)
        if not self._options.exactly_once:
            await self._again_and_again(lambda: self._write_plainly(batches, entry))
            return
        if self._published is None and self._context.published and entry.batch_id <= self._context.committed:
            raise self._unknown(entry.batch_id)
        async with self._turn:
            await self._again_and_again(lambda: self._transact(batches, entry))
            self._published = entry.batch_id

    async def close(self) -> None:
        """Disconnect. A transaction that was begun is never committed; the next start aborts it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._cluster.close()

    async def _find_topics(self) -> None:
        """Look for the topics.

        Raises:
            SinkError: One is not there, or may not be seen.
            KafkaError: No broker answers, or a topic can't be used at this moment.
        """
        described = await self._cluster.describe(self._options.topics)
        for name, topic in described.items():
            if topic.error is None:
                continue
            if topic.error_passes:
                raise topic.error
            raise SinkError(
                f"sink {self._context.name!r} can't write to topic {name!r} in {self._cluster.address}: "
                f"{type(topic.error).__name__}. Make it, mend its name, or grant this client DESCRIBE and WRITE on it"
            )
        self._counts = {name: len(topic.partitions) for name, topic in described.items()}
        await self._cluster.watch(self._options.topics)

    async def _take_over(self) -> None:
        """Become the instance that may publish, unless another has more than we know of."""
        mark = await self._place.read(self._cluster)
        if mark is None or (mark.batch or 0) <= self._context.committed:
            await self._producer.init()
            self._context.step("epoch_taken")
            mark = await self._place.settled(self._cluster, self._clock)
        if mark is None or (mark.batch or 0) <= self._context.committed:
            await self._write_mark(Mark(self._me, None if mark is None else mark.batch))
            self._ready = True
        self._published = None if mark is None else mark.batch
        self._context.step("taken_over")

    async def _write_mark(self, mark: Mark) -> None:
        """Write the mark alone."""
        await self._end({self._place.group: self._place.written(mark)})

    async def _keep_mark(self) -> None:
        """Write the mark now and then, so that brokers don't forget it while there is nothing to publish."""
        while True:
            await self._clock.sleep_until(self._clock.now() + _DAY_MS)
            async with self._turn:
                try:
                    if not self._ready:
                        await self._go_on()
                    await self._write_mark(Mark(self._me, self._published))
                except FencedError:
                    # Told when there is something to publish; until then it must not disturb who may publish.
                    return
                except (StreamprocError, KafkaError, OSError) as error:
                    self._ready = False
                    log.info("the mark can't be kept", extra={"sink": self._context.name, "error": repr(error)})

    async def _go_on(self) -> Mark | None:
        """Take a new epoch, if this is the instance that may publish yet, and return the mark.

        Raises:
            FencedError: Another instance has taken over.
        """
        await self._producer.init()
        mark = await self._place.settled(self._cluster, self._clock)
        if mark is not None and mark.owner != self._me:
            raise FencedError(
                f"sink {self._context.name!r}: another instance of app {self._context.app!r}, shard "
                f"{self._context.shard}, has taken over. This one has published nothing since, and stops: of each "
                f"shard one instance may run"
            )
        self._ready = True
        return mark

    async def _transact(self, batches: list[Outgoing], entry: OutboxEntry) -> None:
        """Publish a batch in one transaction, unless it is found to be published."""
        step = self._context.step
        if not self._ready:
            mark = await self._go_on()
            if mark is None:
                # An attempt before has asked for its end, and had no answer for as long as marks are kept.
                if self._in_doubt and self._ended != entry.batch_id:
                    raise self._unknown(entry.batch_id)
            elif mark.batch is not None and mark.batch >= entry.batch_id:
                self._ended = entry.batch_id
            self._in_doubt = False
        partitions = {Partition(batch.topic, batch.partition) for batch in batches}
        offsets = {self._place.group: self._place.written(Mark(self._me, entry.batch_id)), **self._offsets(entry)}
        if self._ended != entry.batch_id:
            # Whatever comes of it: only its end makes it known again.
            self._ready = False
            await self._producer.add_partitions(partitions)
            step("transaction_begun")
            self._ends = await self._producer.produce(batches, entry.time)
            step("records_written")
            await self._end(offsets)
            self._ended = entry.batch_id
            step("transaction_ended")
        await self._make_visible(entry.batch_id, partitions, offsets)

    async def _end(self, offsets: Mapping[str, Mapping[Partition, Committed]]) -> None:
        """Write offsets and commit the transaction."""
        self._ready = False
        for group, committed in offsets.items():
            await self._write_offsets(group, committed)
        self._in_doubt = True
        await self._producer.commit()
        self._in_doubt = False
        self._ready = True

    async def _make_visible(
        self, batch_id: int, partitions: Set[Partition], offsets: Mapping[str, Mapping[Partition, Committed]]
    ) -> None:
        """Return once everybody sees a batch whose transaction is committed.

        A coordinator writes no markers to partitions whose leader it doesn't know at that moment, and counts the
        transaction as complete all the same: seen with a single broker that was stopped. The records are neither
        committed nor aborted then. An empty transaction with the same partitions writes the markers again; where they
        were written before, it has no effect.
        """
        for pause in _VISIBLE_MS:
            if await self._is_complete(batch_id):
                return
            await self._clock.sleep_until(self._clock.now() + pause)
        self._ready = False
        await self._producer.add_partitions(partitions)
        await self._end(offsets)
        raise StartAgainError(f"batch {batch_id} is committed, but was not to be seen: its transaction was ended again")

    async def _is_complete(self, batch_id: int) -> bool:
        """Return whether all markers of a batch's transaction are written."""
        mark = await self._place.read(self._cluster)
        if mark is None or (mark.batch or 0) < batch_id:
            return False
        ends = await list_offsets(self._cluster, dict.fromkeys(self._ends, LATEST))
        hidden = [partition for partition, end in self._ends.items() if (ends[partition] or 0) < end]
        # What is hidden may be so by the open transaction of somebody else.
        return not (hidden and await open_transactions(self._cluster, self._producer.id, hidden))

    async def _write_offsets(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        """Write a group's offsets as a part of a transaction."""
        await self._producer.add_offsets(group)
        self._context.step("offsets_added")
        await self._producer.commit_offsets(group, offsets)
        self._context.step("offsets_written")

    async def _write_plainly(self, batches: list[Outgoing], entry: OutboxEntry) -> None:
        """Publish a batch without a transaction: what a failed attempt has written stays."""
        if not self._ready:
            await self._producer.init()
        self._ready = False
        await self._producer.produce(batches, entry.time)
        self._ready = True

    def _offsets(self, entry: OutboxEntry) -> dict[str, dict[Partition, Committed]]:
        """Return the offsets of sources that are published with a batch, by group."""
        groups: dict[str, dict[Partition, Committed]] = defaultdict(dict)
        for source, group in self._options.groups.items():
            for partition, offset in entry.positions.get(source, {}).items():
                if isinstance(offset, int):
                    groups[group][Partition.parse(partition)] = Committed(offset)
        return dict(groups)

    async def _again_and_again(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try until it succeeds, or until it is certain that it won't.

        Raises:
            FencedError: Another instance has taken over.
            SinkError: It will not work.
        """
        tried = 0
        while True:
            try:
                await attempt()
            except (StartAgainError, EpochFencedError, KafkaError, OSError) as error:
                if isinstance(error, KafkaError) and not error.retriable:
                    self._give_up(error)
                self._ready = False
                if tried:
                    self._context.blocked(f"Kafka at {self._cluster.address}: {error}")
                await self._clock.sleep_until(self._clock.now() + _PAUSES_MS[min(tried, len(_PAUSES_MS) - 1)])
                tried += 1
                try:
                    await self._cluster.refresh()
                except (KafkaError, OSError) as gone:
                    self._context.blocked(f"no broker of {self._cluster.address} answers: {gone}")
            else:
                self._context.blocked(None)
                return

    def _partitions(self, topic: str) -> int:
        """Return how many partitions a topic has.

        Raises:
            EncodeError: It is none of the sink's.
        """
        if topic not in self._options.topics:
            raise EncodeError(
                f"the topic {topic!r} is none of KafkaSink(topics=…): {', '.join(map(repr, self._options.topics))}"
            )
        # For a moment a broker may not know a topic, or not want to tell.
        if known := len(self._cluster.partitions(topic)):
            self._counts[topic] = known
        return self._counts[topic]

    def _unknown(self, batch_id: int) -> SinkError:
        return SinkError(
            f"sink {self._context.name!r} has published before, but Kafka has no mark of it (group "
            f"{self._place.group!r}, {self._place.partition}): the topic was made anew, the group's offsets have "
            f"expired, or this is another cluster. So it is not known whether batch {batch_id} is published. Run it "
            f"once more where it was, or start anew with other state"
        )

    def _give_up(self, error: Exception) -> NoReturn:
        raise SinkError(
            f"sink {self._context.name!r} can't write to Kafka at {self._cluster.address}: "
            f"{type(error).__name__}: {error}"
        ) from error
