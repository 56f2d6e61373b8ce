"""The mark of a `KafkaSink` on a real broker: kept while nothing is published, lost, and not settled yet."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.protocol.commit import OffsetFetchResponse_v3  # type: ignore[import-untyped]

from streamproc.batch import Batch
from streamproc.connectors.kafka import KafkaSettings, KafkaSink
from streamproc.connectors.kafka.cluster import Cluster, Coordinator
from streamproc.connectors.kafka.mark import Mark, MarkPlace
from streamproc.connectors.kafka.offsets import Partition
from streamproc.connectors.kafka.transaction import Producer, StartAgainError
from streamproc.errors import SinkError
from streamproc.eventtime.clock import Clock, SystemClock
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter
from tests.kafka.client import Kafka, unique

pytestmark = pytest.mark.kafka

HOUR_MS = 3_600_000


class Days(SystemClock):
    """A clock whose days pass when a test says so."""

    def __init__(self) -> None:
        self.passed = asyncio.Event()

    async def sleep_until(self, when: int) -> None:
        if when - self.now() < HOUR_MS:
            await super().sleep_until(when)
            return
        await self.passed.wait()
        self.passed.clear()


class Waits(SystemClock):
    """A clock that does something instead of the first wait, and doesn't wait otherwise."""

    def __init__(self, do: Callable[[], Awaitable[object]] | None = None) -> None:
        self._do = do

    async def sleep_until(self, when: int) -> None:
        if self._do is not None:
            do, self._do = self._do, None
            await do()


class Sink:
    """A sink of an app, in the instances of it that a test makes one after the other."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._app = unique("app")
        self.group = f"streamproc.{self._app}.out.0"
        self.place = MarkPlace(self.group, Partition(topic, 0))

    @asynccontextmanager
    async def writer(
        self, *, committed: int = 0, published: int = 0, clock: Clock | None = None
    ) -> AsyncGenerator[SinkWriter]:
        context = SinkContext(self._app, "out", clock or SystemClock(), committed=committed, published=published)
        sink = KafkaSink[Any](self._topic, kafka={"bootstrap.servers": self._kafka.bootstrap})
        writer = sink.open(context)
        try:
            await writer.start()
            yield writer
        finally:
            await writer.close()

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[tuple[Cluster, Producer]]:
        """Return a producer with the sink's transactional id, and with a newer epoch."""
        cluster = Cluster(KafkaSettings(bootstrap_servers=self._kafka.bootstrap), SystemClock(), lambda reason: None)
        try:
            await cluster.start()
            await cluster.watch([self._topic])
            producer = Producer(cluster, SystemClock(), f"{self._app}-0-out", 60_000)
            await producer.init()
            yield cluster, producer
        finally:
            await cluster.close()

    async def mark(self) -> Mark | None:
        async with self.producer() as (cluster, _):
            return await self.place.settled(cluster, SystemClock())


@pytest.fixture
async def topic(kafka: Kafka) -> str:
    return await kafka.create_topic()


@pytest.fixture
def sink(kafka: Kafka, topic: str) -> Sink:
    return Sink(kafka, topic)


def entry(writer: SinkWriter, batch_id: int, *rows: Any) -> OutboxEntry:
    return OutboxEntry(batch_id, 1_700_000_000_000, writer.encode(Batch(list(rows))))


async def values(kafka: Kafka, topic: str) -> list[bytes | None]:
    return [message.value for message in await kafka.read(topic)]


async def test_a_sink_whose_mark_and_epoch_are_gone_goes_on(kafka: Kafka, topic: str, sink: Sink) -> None:
    async with sink.writer() as writer:
        await writer.publish(entry(writer, 1, "a"))
        await kafka.delete_group(sink.group)
        async with sink.producer():
            # Nobody has taken over: only a transactional id that has expired looks the same.
            await writer.publish(entry(writer, 2, "b"))
    mark = await sink.mark()
    assert mark is not None
    assert mark.batch == 2
    assert await values(kafka, topic) == [b"a", b"b"]


async def test_behind_a_lost_mark_new_batches_are_published(kafka: Kafka, topic: str, sink: Sink) -> None:
    async with sink.writer() as writer:
        await writer.publish(entry(writer, 1, "a"))
    await kafka.delete_group(sink.group)
    async with sink.writer(committed=5, published=1) as writer:
        # Nobody knows whether this one is published.
        with pytest.raises(SinkError, match="it is not known whether batch 5 is published"):
            await writer.publish(entry(writer, 5, "b"))
        await writer.publish(entry(writer, 6, "c"))
        await writer.publish(entry(writer, 7, "d"))
    assert await values(kafka, topic) == [b"a", b"c", b"d"]


async def test_a_batch_whose_end_is_in_doubt_is_not_published_without_a_mark(
    kafka: Kafka, topic: str, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sink.writer() as writer:
        with monkeypatch.context() as broken:
            commit = Producer.commit

            async def unanswered(producer: Producer) -> None:
                await commit(producer)
                await kafka.delete_group(sink.group)
                broken.undo()
                raise StartAgainError("no answer")

            broken.setattr(Producer, "commit", unanswered)
            with pytest.raises(SinkError, match="it is not known whether batch 1 is published"):
                await writer.publish(entry(writer, 1, "a"))
    assert await values(kafka, topic) == [b"a"]


async def test_the_mark_is_written_anew_each_day(kafka: Kafka, sink: Sink) -> None:
    clock = Days()
    async with sink.writer(clock=clock) as writer:
        await writer.publish(entry(writer, 3, "a"))
        for _ in range(2):
            await kafka.delete_group(sink.group)
            clock.passed.set()
            async with asyncio.timeout(30):
                while await kafka.group_offsets(sink.group, sink.place.partition.topic) != {0: 3}:
                    pass
        await writer.publish(entry(writer, 4, "b"))
    assert await values(kafka, sink.place.partition.topic) == [b"a", b"b"]


async def test_a_mark_that_a_transaction_changes_is_waited_for(sink: Sink) -> None:
    async with sink.producer() as (cluster, producer):
        await producer.add_offsets(sink.group)
        await producer.commit_offsets(sink.group, sink.place.written(Mark("me", 7)))
        assert await sink.place.read(cluster) is None
        assert await sink.place.settled(cluster, Waits(producer.commit)) == Mark("me", 7)


async def test_a_mark_that_does_not_settle_is_the_one_before(sink: Sink) -> None:
    async with sink.producer() as (cluster, producer):
        for batch in (7, 8):
            await producer.add_offsets(sink.group)
            await producer.commit_offsets(sink.group, sink.place.written(Mark("me", batch)))
            if batch == 7:
                await producer.commit()
        assert await sink.place.settled(cluster, Waits()) == Mark("me", 7)


class OldBroker(Cluster):
    """Its only group has a mark, and it doesn't know what is stable."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings(bootstrap_servers="nowhere:1"), SystemClock(), lambda reason: None)

    async def ask_coordinator(self, kind: Coordinator, key: str, request: Any) -> Any:
        asked = request.prepare({9: (0, 6)})
        assert asked.to_object() == {"consumer_group": "group", "topics": [{"topic": "t", "partitions": [0]}]}
        return OffsetFetchResponse_v3(0, [("t", [(0, 7, '{"owner": "me", "batch": 7}', 0)])], 0)


async def test_an_old_broker_is_asked_as_it_knows() -> None:
    assert await MarkPlace("group", Partition("t", 0)).settled(OldBroker(), Waits()) == Mark("me", 7)
