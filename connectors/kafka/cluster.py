"""`Cluster`: the way to the brokers of one Kafka, over aiokafka's client of the protocol.

aiokafka brings connections, authentication, the coding of requests, and the map of brokers and leaders. What is sent
when, and what an answer means, is up to who calls: nothing is retried here but the first contact.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from aiokafka.client import ConnectionGroup, CoordinationType  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    StaleMetadata,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]

from streamproc.eventtime.clock import Clock

from .admission import check_admission
from .client import Client
from .connection import FetchConnection, Memory
from .settings import KafkaSettings

__all__ = ["Cluster", "Coordinator", "Topic"]

PartitionT = TypeVar("PartitionT", bound=tuple[str, int])

_PATIENCE_MS = 60_000
"""How long a first contact may take; once there was one, who calls decides."""
_PAUSE_MS = 250
_ROOMS = 4
"""For how many fetched answers memory is kept."""


class Coordinator(Enum):
    """What a broker can be the coordinator of."""

    GROUP = CoordinationType.GROUP
    TRANSACTION = CoordinationType.TRANSACTION


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as a broker describes it.

    Attributes:
        name: Its name.
        error: Why it can't be used, or None: an error of aiokafka.
        partitions: The numbers of its partitions.
    """

    name: str
    error: KafkaError | None
    partitions: tuple[int, ...]

    @property
    def error_passes(self) -> bool:
        """Whether the error is one that passes by itself; that there is no such topic is none."""
        if self.error is None or isinstance(self.error, UnknownTopicOrPartitionError):
            return False
        return bool(self.error.retriable)


class Cluster:
    """One client of a Kafka.

    Args:
        settings: How to reach it; the environment is looked at now.
        clock: The time.
        blocked: Told why the first contact needs so long.

    Raises:
        SettingsError: The settings don't fit together.
    """

    def __init__(self, settings: KafkaSettings, clock: Clock, blocked: Callable[[str | None], None]) -> None:
        self.settings = settings.resolved(os.environ)
        self._options = self.settings.client_options()
        self._clock = clock
        self._blocked = blocked
        self._topics: set[str] = set()
        self._coordinators: dict[tuple[Coordinator, str], int] = {}
        self._fetching: dict[int, FetchConnection] = {}
        self._memory = Memory(_ROOMS)
        self._client: Any = None
        self._reconnecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """The brokers it was told to begin with."""
        return self.settings.bootstrap_servers or ""

    @property
    def request_timeout_ms(self) -> int:
        """How long a broker has for an answer."""
        return int(self._options["request_timeout_ms"])

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: No broker has answered in a minute.
            SettingsError: One does not let this client in.
        """
        give_up = self._clock.now() + _PATIENCE_MS
        while True:
            try:
                await self._connect()
            except KafkaConnectionError as error:
                await check_admission(self._options)
                if self._clock.now() >= give_up:
                    raise
                self._blocked(f"no broker of {self.address} answers: {error}")
                await self._clock.sleep_until(self._clock.now() + _PAUSE_MS)
            else:
                self._blocked(None)
                return

    async def _connect(self) -> None:
        client = Client(**self._options, metadata_max_age_ms=60_000)
        try:
            await client.bootstrap()
            if not client.cluster.brokers():
                raise KafkaConnectionError("a broker has answered, but names none that can be asked for topics")
            if not await client.set_topics(self._topics):
                raise KafkaConnectionError("a broker has answered, but none of those that it names does")
        except BaseException:
            await client.close()
            raise
        old, self._client = self._client, client
        if self._topics:
            # More may be watched by now.
            client.set_topics(self._topics)
        self._coordinators.clear()
        if old is not None:
            # Beside what goes on: a broker that is frozen lets it take seconds.
            task = asyncio.create_task(old.close(), name="closing a client of Kafka")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all connections; may be called without ``start``."""
        for connection in self._fetching.values():
            connection.close()
        if self._client is not None:
            await self._client.close()
        await asyncio.gather(*self._closing)

    async def describe(self, topics: Collection[str] | None) -> dict[str, Topic]:
        """Ask for topics by name, or for all there are; none is made by asking.

        Raises:
            KafkaError: No broker answers.
        """
        asked = None if topics is None else sorted(topics)
        answer = await self.send_to_any(MetadataRequest(asked, allow_auto_topic_creation=False))
        found: dict[str, Topic] = {}
        for code, name, internal, partitions in answer.topics:
            if internal and topics is None:
                continue
            error = None if code == 0 else for_code(code)(name)
            found[name] = Topic(name, error, tuple(sorted(partition[1] for partition in partitions)))
        return found

    async def watch(self, topics: Collection[str]) -> None:
        """Learn the leaders of topics that exist, besides those watched before."""
        new = set(topics) - self._topics
        if new:
            self._topics |= new
            await self._client.set_topics(self._topics)

    async def refresh(self) -> None:
        """Learn the leaders and brokers anew.

        Raises:
            KafkaError: No broker answers.
        """
        client = self._client
        if await client.force_metadata_update():
            return
        async with self._reconnecting:
            if self._client is client:
                # None of the brokers that it knows answers: perhaps they have other addresses now.
                await self._connect()

    def partitions(self, topic: str) -> list[int]:
        """Return the numbers of the partitions of a watched topic, as far as they are known."""
        return sorted(self._client.cluster.partitions_for_topic(topic) or ())

    def leader(self, topic: str, partition: int) -> int | None:
        """Return the broker that leads a partition, if there is one now."""
        node: int | None = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
        return None if node == -1 else node

    def by_leader(self, partitions: Iterable[PartitionT]) -> dict[int, list[PartitionT]]:
        """Return partitions, each a topic and a number, by the brokers that lead them.

        Raises:
            LeaderNotAvailableError: One has no leader now.
        """
        found: dict[int, list[PartitionT]] = defaultdict(list)
        for partition in partitions:
            node = self.leader(*partition)
            if node is None:
                raise LeaderNotAvailableError("/".join(map(str, partition)))
            found[node].append(partition)
        return found

    async def send(self, node: int, request: Any) -> Any:
        """Send a request to a broker and return its answer.

        Raises:
            KafkaError: It can't be reached, or doesn't answer in time.
        """
        return await self._client.send(node, request)

    async def fetch(self, node: int, request: Any) -> Any:
        """Send a request for records to a broker, on a connection of its own, and return its answer.

        Raises:
            KafkaError: It can't be reached.
            OSError: So too.
            TimeoutError: It doesn't answer in time.
        """
        connection = self._fetching.get(node)
        if connection is not None and not connection.is_open:
            # Closed by the broker, as it was idle; aiokafka's part of it doesn't know.
            connection.close()
            connection = None
        if connection is None:
            broker = self._client.cluster.broker_metadata(node)
            if broker is None:
                raise StaleMetadata(f"broker {node} is not known")
            options = {name: value for name, value in self._options.items() if name != "bootstrap_servers"}
            connection = await FetchConnection.open(broker.host, broker.port, options, self._memory)
            self._fetching[node] = connection
        return await connection.ask(request, self.request_timeout_ms)

    async def send_to_any(self, request: Any) -> Any:
        """Send a request to some broker and return its answer.

        Raises:
            KafkaError: It can't be reached, or doesn't answer in time.
        """
        return await self.send(self._client.get_random_node(), request)

    async def ask_coordinator(self, kind: Coordinator, key: str, request: Any) -> Any:
        """Send a request to the coordinator of a group or a transactional id and return the answer.

        Raises:
            KafkaError: It can't be found or reached, or doesn't answer in time; it is looked up anew the next time.
        """
        node = self._coordinators.get((kind, key))
        try:
            if node is None:
                node = await self._client.coordinator_lookup(kind.value, key)
                self._coordinators[kind, key] = node
            return await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
        except (TimeoutError, KafkaError):
            self.forget_coordinator(kind, key)
            raise

    def forget_coordinator(self, kind: Coordinator, key: str) -> None:
        """Look a coordinator up anew the next time: it has said that it is none."""
        self._coordinators.pop((kind, key), None)
