"""The Kafka that tests run is a real one: it keeps what it acknowledged, and ends with the tests."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]

from streamproc.eventtime.clock import SystemClock
from tests.kafka.broker import Broker, BrokerError
from tests.kafka.client import Kafka, Message, unique
from tests.kafka.cluster import Cluster
from tests.kafka.program import Program

pytestmark = pytest.mark.kafka


def values(messages: list[Message]) -> list[bytes | None]:
    return [message.value for message in messages]


def test_a_broker_starts(program: Program) -> None:
    clock = SystemClock()
    begin = clock.monotonic()
    with Cluster.running(program) as cluster:
        print(f"started in {clock.monotonic() - begin:.1f} s")
        with socket.create_connection(("127.0.0.1", cluster.brokers[0].node.port)):
            pass


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_what_is_written_is_read(kafka: Kafka, compression: str | None) -> None:
    topic = await kafka.create_topic(partitions=2)
    messages = [
        Message(b"first", b"key", 1, 1_000, (("trace", b"\x01"),)),
        Message(b"", partition=1, timestamp=0),
        Message(None, b"gone", partition=0, timestamp=4_102_444_800_000),  # In the year 2100.
    ]
    written = await kafka.produce(topic, messages, compression=compression)
    assert [message.offset for message in written] == [0, 1, 0]
    assert await kafka.read(topic) == [written[2], written[0], written[1]]


async def test_a_transaction_is_read_when_it_is_committed(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    writer = unique("writer")
    await kafka.produce(topic, [b"a", b"b"], transactional_id=writer)
    await kafka.produce(topic, [b"c"], transactional_id=writer, abort=True)
    await kafka.produce(topic, [b"d"], transactional_id=writer)
    await kafka.produce(topic, [b"e"], transactional_id=writer, abort=True)
    assert values(await kafka.read(topic)) == [b"a", b"b", b"d"]
    assert values(await kafka.read(topic, committed=False)) == [b"a", b"b", b"c", b"d", b"e"]


async def test_a_transaction_commits_the_offsets_of_a_group_without_members(kafka: Kafka) -> None:
    topic = await kafka.create_topic(partitions=3)
    group = unique("group")
    assert await kafka.group_offsets(group, topic) == {}
    offsets = {TopicPartition(topic, 0): 7, TopicPartition(topic, 2): 9}
    async with (
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=unique("writer")) as producer,
        producer.transaction(),
    ):
        await producer.send_offsets_to_transaction(offsets, group)
    assert await kafka.group_offsets(group, topic) == {0: 7, 2: 9}


async def test_a_topic_has_the_configuration_it_was_given(kafka: Kafka) -> None:
    topic = await kafka.create_topic(config={"max.message.bytes": "100"})
    with pytest.raises(Exception, match="MessageSizeTooLargeError"):
        await kafka.produce(topic, [b"x" * 200])
    with pytest.raises(AssertionError, match=r"Unknown topic config name: no\.such\.setting"):
        await kafka.create_topic(config={"no.such.setting": "1"})


@pytest.mark.slow
async def test_a_broker_comes_back_with_its_data(broker: Broker) -> None:
    kafka = Kafka(broker.address)
    topic = await kafka.create_topic()
    await kafka.produce(topic, [b"before"], transactional_id=unique("writer"))
    broker.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.node.port))
    broker.start()
    await kafka.produce(topic, [b"between"])
    first = broker.pid
    broker.kill()
    broker.start()
    assert broker.pid != first
    await kafka.produce(topic, [b"after"])
    assert values(await kafka.read(topic)) == [b"before", b"between", b"after"]


@pytest.mark.slow
async def test_a_frozen_broker_answers_when_it_has_thawed(broker: Broker) -> None:
    kafka = Kafka(broker.address)
    topic = await kafka.create_topic()
    broker.freeze()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(kafka.produce(topic, [b"late"]))
        _, waiting = await asyncio.wait({writing}, timeout=0.5)
        assert waiting
        broker.thaw()
    assert values(await kafka.read(topic)) == [b"late"]


@pytest.mark.slow
async def test_three_brokers_survive_the_kill_of_any_one(cluster: Cluster) -> None:
    kafka = cluster.kafka
    topic = await kafka.create_topic(partitions=3)
    expected: list[bytes] = []
    for broker in cluster.brokers:
        broker.kill()
        for partition in range(3):  # Each broker leads one of them.
            value = b"%d without %d" % (partition, broker.node.number)
            await kafka.produce(topic, [Message(value, partition=partition)], transactional_id=unique("writer"))
            expected.append(value)
        assert sorted(values(await kafka.read(topic)), key=str) == sorted(expected, key=str)
        await asyncio.to_thread(broker.start)
    assert sorted(values(await kafka.read(topic)), key=str) == sorted(expected, key=str)


@pytest.mark.slow
def test_a_broker_ends_with_a_run_that_is_killed() -> None:
    # The broker's data goes last: whoever does that has inherited the error output, and holds it until it is done.
    run = subprocess.run(
        [sys.executable, "-m", "tests.kafka.abandon"], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == -9, run.stderr
    port, folder = run.stdout.split()
    assert not Path(folder).exists()
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", int(port)), timeout=30) as connection:
        connection.recv(1)  # Killed, but not yet gone: returns when it is.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))


@pytest.mark.slow
def test_a_broker_that_can_not_start_says_why(broker: Broker) -> None:
    broker.stop()
    with socket.create_server(("127.0.0.1", broker.node.port)), pytest.raises(BrokerError) as raised:
        broker.start()
    assert "ended while it started" in str(raised.value)
    assert "Address already in use" in str(raised.value)
    broker.start()
