"""`Cluster` and brokers that are slow, frozen, restarted, or eager to make topics."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError  # type: ignore[import-untyped]
from aiokafka.protocol.fetch import FetchRequest  # type: ignore[import-untyped]
from aiokafka.protocol.produce import ProduceRequest  # type: ignore[import-untyped]

from streamproc.connectors.kafka import KafkaSettings
from streamproc.connectors.kafka.client import Client
from streamproc.connectors.kafka.cluster import Cluster
from streamproc.eventtime.clock import SystemClock
from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster as Brokers
from tests.kafka.program import Program

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

# More than the buffers between a client and a broker that doesn't read hold.
LARGE = bytes(30 << 20)


@asynccontextmanager
async def connected(bootstrap: str, **settings: Any) -> AsyncGenerator[Cluster]:
    cluster = Cluster(KafkaSettings(bootstrap_servers=bootstrap, **settings), SystemClock(), lambda reason: None)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()


def produce(topic: str) -> ProduceRequest:
    return ProduceRequest(None, -1, 1_000, [(topic, [(0, LARGE)])])


def fetch(topic: str) -> FetchRequest:
    return FetchRequest(0, 1, 1 << 20, 0, [(topic, [(0, 0, 1 << 20)])])


async def test_closing_does_not_wait_for_a_broker_that_does_not_read(broker: Broker) -> None:
    topic = await Brokers([broker]).kafka.create_topic()
    async with connected(broker.address) as cluster:
        await cluster.describe([topic])  # So that it has a connection.
        broker.freeze()
        sending = asyncio.create_task(cluster.send(1, produce(topic)))
        waiting, _ = await asyncio.wait({sending}, timeout=0.5)
        assert not waiting
        async with asyncio.timeout(10):
            await cluster.close()
        with pytest.raises(KafkaError):
            await sending


async def test_closing_does_not_wait_for_a_request_that_was_given_up(broker: Broker) -> None:
    topic = await Brokers([broker]).kafka.create_topic()
    async with connected(broker.address, request_timeout="1s") as cluster:
        await cluster.describe([topic])
        broker.freeze()
        with pytest.raises(KafkaError):
            await cluster.send(1, produce(topic))
        async with asyncio.timeout(10):
            await cluster.close()


async def test_who_waits_for_metadata_learns_of_the_close(broker: Broker) -> None:
    client = Client(bootstrap_servers=broker.address)
    await client.bootstrap()
    broker.freeze()
    looked_up = client.force_metadata_update()
    async with asyncio.timeout(10):
        await client.close()
        assert await looked_up is False


async def test_a_connection_that_the_broker_has_closed_is_made_anew(broker: Broker) -> None:
    topic = await Brokers([broker]).kafka.create_topic()
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with connected(broker.address) as cluster:
        assert [name for name, _ in (await cluster.fetch(1, fetch(topic))).topics] == [topic]
        # In another thread: the connection's end is to be seen while nobody asks.
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        assert [name for name, _ in (await cluster.fetch(1, fetch(topic))).topics] == [topic]
        gc.collect()
    assert told == []


async def test_looking_for_a_topic_does_not_make_it(program: Program) -> None:
    with Brokers.running(program, properties={"auto.create.topics.enable": "true"}) as brokers:
        async with connected(brokers.bootstrap) as cluster:
            topic = await brokers.kafka.create_topic()
            await cluster.watch([topic])
            assert cluster.partitions(topic) == [0]
            await brokers.kafka.delete_topic(topic)
            async with asyncio.timeout(20):
                while (await cluster.describe([topic]))[topic].error is None:
                    pass
            for _ in range(20):
                await cluster.refresh()
                found = await cluster.describe([topic])
                assert isinstance(found[topic].error, UnknownTopicOrPartitionError)
