"""`Kafka`: what tests do with a Kafka besides the connector they test: make topics, write, read, look at offsets.

All of it by aiokafka's plain classes, which share no code with the connector's own paths.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]
from aiokafka.errors import GroupCoordinatorNotAvailableError, TopicAlreadyExistsError  # type: ignore[import-untyped]
from aiokafka.protocol.admin import DeleteGroupsRequest  # type: ignore[import-untyped]

from streamproc.eventtime.clock import SystemClock

__all__ = ["Kafka", "Message", "unique"]

_SECONDS = 60
"""How long a call may take; aiokafka would try for ever."""


@dataclass(frozen=True)
class Message:
    """A record of a topic, as bytes.

    Attributes:
        value: Its value; None is a tombstone.
        key: Its key.
        partition: Its partition; None leaves the choice to the producer.
        timestamp: In epoch milliseconds; None is the time of sending.
        headers: Names and values.
        offset: Where it is; None before it is written.
    """

    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    timestamp: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int | None = None


@dataclass(frozen=True)
class Kafka:
    """A Kafka that answers.

    Attributes:
        bootstrap: What a client connects to.
        replicas: On how many brokers new topics are.
    """

    bootstrap: str
    replicas: int = 1

    async def create_topic(
        self, prefix: str = "topic", *, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Make a topic, wait until it can be written, and return its name.

        Args:
            prefix: What the name begins with; no other topic has the same.
            partitions: How many.
            config: The topic's configuration, such as ``{"cleanup.policy": "compact"}``.
        """
        topic = unique(prefix)
        await self._create(NewTopic(topic, partitions, self.replicas, topic_configs=dict(config or {})))
        return topic

    async def create_topic_again(self, topic: str, *, partitions: int = 1) -> None:
        """Make a topic with the name of one that was deleted."""
        await self._create(NewTopic(topic, partitions, self.replicas))

    async def _create(self, new: NewTopic) -> None:
        async with self._admin() as admin:

            async def is_made() -> bool:
                [error] = (await admin.create_topics([new])).to_object()["topic_errors"]
                # One with the same name is being deleted.
                assert error["error_code"] in (0, TopicAlreadyExistsError.errno), error
                return bool(error["error_code"] == 0)

            await _until(is_made)
            await _until(lambda: _has_leaders(admin, new.name, new.num_partitions))
        # Who is to lead is known before it does: aiokafka asks again until each leader answers.
        async with self._consumer(committed=False) as consumer:
            await consumer.end_offsets([TopicPartition(new.name, number) for number in range(new.num_partitions)])

    async def add_partitions(self, topic: str, count: int) -> None:
        """Give a topic more partitions, ``count`` in all, and wait until they can be written."""
        async with self._admin() as admin:
            answer = (await admin.create_partitions({topic: NewPartitions(count)})).to_object()
            for error in answer["topic_errors"]:
                assert error["error_code"] == 0, error
            await _until(lambda: _has_leaders(admin, topic, count))

    async def delete_topic(self, topic: str) -> None:
        """Delete a topic."""
        async with self._admin() as admin:
            answer = (await admin.delete_topics([topic])).to_object()
            assert [error["error_code"] for error in answer["topic_error_codes"]] == [0], answer

    async def configure(self, topic: str, config: Mapping[str, str]) -> None:
        """Change a topic's configuration."""
        async with self._admin() as admin:
            for answer in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(config))]):
                for error in answer.to_object()["resources"]:
                    assert error["error_code"] == 0, error

    async def produce(
        self,
        topic: str,
        messages: Iterable[Message | bytes],
        *,
        compression: str | None = None,
        transactional_id: str | None = None,
        abort: bool = False,
    ) -> list[Message]:
        """Write messages, and return them with partition and offset, in the order given.

        Args:
            topic: Where to.
            messages: The messages; bytes are the value of one.
            compression: ``gzip``, ``snappy``, ``lz4`` or ``zstd``.
            transactional_id: Writes them in one transaction.
            abort: Whether that transaction is aborted.
        """
        assert transactional_id or not abort, "only a transaction can be aborted"
        now = SystemClock().now()
        wanted = [message if isinstance(message, Message) else Message(message) for message in messages]
        wanted = [message if message.timestamp is not None else replace(message, timestamp=now) for message in wanted]
        async with (
            asyncio.timeout(_SECONDS),
            AIOKafkaProducer(
                bootstrap_servers=self.bootstrap,
                compression_type=compression,
                enable_idempotence=True,
                transactional_id=transactional_id,
            ) as producer,
        ):
            if transactional_id:
                await producer.begin_transaction()
            sent = [
                await producer.send(
                    topic,
                    message.value,
                    key=message.key,
                    partition=message.partition,
                    timestamp_ms=message.timestamp,
                    headers=list(message.headers),
                )
                for message in wanted
            ]
            written = [await future for future in sent]
            if transactional_id:
                await (producer.abort_transaction() if abort else producer.commit_transaction())
        if transactional_id:
            await self.settle(topic)
        return [
            # Not the timestamp: aiokafka 0.14 tells that of the batch's first record for all of them.
            replace(message, partition=at.partition, offset=at.offset)
            for message, at in zip(wanted, written, strict=True)
        ]

    @asynccontextmanager
    async def open_transaction(self, topic: str, value: bytes) -> AsyncGenerator[None]:
        """Write a record in a transaction, and abort that in the end."""
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=unique("writer")) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, value)
            try:
                yield
            finally:
                await producer.abort_transaction()

    async def read(self, topic: str, *, committed: bool = True) -> list[Message]:
        """Return all messages that a topic has now, by partition and offset.

        Args:
            topic: Where from.
            committed: Whether to leave out what aborted transactions wrote. Waits for the end of open ones.
        """
        if committed:
            await self.settle(topic)
        async with self._consumer(committed=committed) as consumer:
            partitions = [TopicPartition(topic, number) for number in await self.partitions(topic)]
            consumer.assign(partitions)
            ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
            found: list[Message] = []
            async with asyncio.timeout(_SECONDS):
                while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                    batches: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=50)
                    for partition, records in batches.items():
                        found += [_message(record) for record in records if record.offset < ends[partition]]
        return sorted(found, key=lambda message: (message.partition, message.offset))

    async def partitions(self, topic: str) -> list[int]:
        """Return the numbers of a topic's partitions."""
        async with self._admin() as admin:
            [description] = await admin.describe_topics([topic])
            return sorted(partition["partition"] for partition in description["partitions"])

    async def group_offsets(self, group: str, topic: str) -> dict[int, int]:
        """Return the offsets that a consumer group has committed for a topic, by partition."""
        async with self._admin() as admin:
            await _until(lambda: _has_coordinator(admin, group))
            await self.settle("__consumer_offsets")
            offsets = await admin.list_consumer_group_offsets(group)
        return {at.partition: to.offset for at, to in sorted(offsets.items()) if at.topic == topic}

    async def delete_group(self, group: str) -> None:
        """Delete a group with its offsets, as a broker does when nobody has used it for long."""
        async with self._admin() as admin:
            node = await admin.find_coordinator(group)
        client = AIOKafkaClient(bootstrap_servers=self.bootstrap)
        await client.bootstrap()
        try:
            answer = await client.send(node, DeleteGroupsRequest([group]))
        finally:
            await client.close()
        assert [code for _, code in answer.results] == [0], answer

    async def settle(self, topic: str) -> None:
        """Wait until what transactions wrote to a topic is decided: brokers answer before they have marked its end."""
        partitions = [TopicPartition(topic, number) for number in await self.partitions(topic)]
        async with self._consumer(committed=True) as committed, self._consumer(committed=False) as all_there_is:
            written: dict[TopicPartition, int] = await all_there_is.end_offsets(partitions)

            async def is_decided() -> bool:
                decided: dict[TopicPartition, int] = await committed.end_offsets(partitions)
                return all(decided[partition] >= end for partition, end in written.items())

            await _until(is_decided)

    def _consumer(self, *, committed: bool) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level="read_committed" if committed else "read_uncommitted",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    @asynccontextmanager
    async def _admin(self) -> AsyncGenerator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


def unique(prefix: str) -> str:
    """Return a name, of a topic, group or transactional id, that no other test has."""
    return f"{prefix}-{uuid4().hex[:12]}"


def _message(record: Any) -> Message:
    return Message(record.value, record.key, record.partition, record.timestamp, tuple(record.headers), record.offset)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that Kafka tells only to who asks."""
    clock = SystemClock()
    async with asyncio.timeout(_SECONDS):
        while not await condition():
            await clock.sleep_until(clock.now() + 20)


async def _has_leaders(admin: AIOKafkaAdminClient, topic: str, partitions: int) -> bool:
    [description] = await admin.describe_topics([topic])
    return [partition["leader"] >= 0 for partition in description["partitions"]] == [True] * partitions


async def _has_coordinator(admin: AIOKafkaAdminClient, group: str) -> bool:
    try:
        await admin.find_coordinator(group)
    except GroupCoordinatorNotAvailableError:  # The first group of a cluster waits until the topic for offsets is made.
        return False
    return True
