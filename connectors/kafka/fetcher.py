"""`Fetcher`: fetches from the leaders of partitions while there is room for what they give.

One task asks each broker for all partitions that it leads and that have room, one request at a time. A broker holds a
request back until it has data, so an idle partition costs next to nothing. Backpressure is that nothing is asked for:
a partition whose share of the memory is full is left out until enough of it is taken.

What goes wrong is one of three things:

* passing (a broker is gone, leaders move): reported as blocked, retried for ever with a pause;
* a matter of policy (the position is not there any more): the fetcher asks ``out_of_range`` where to go on;
* final (no permission, the topic is gone): kept, and raised by `check`.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka.errors import (  # type: ignore[import-untyped]
    CorruptRecordException,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest  # type: ignore[import-untyped]

from streamproc.errors import SourceError, StreamprocError
from streamproc.eventtime.clock import Clock

from .cluster import Cluster
from .columns import PartitionLog
from .offsets import Partition

__all__ = ["Fetcher"]

_WAIT_MS = 500
"""How long a broker may hold back a request when it has no data."""
_SHORT_WAIT_MS = 20
"""The same while some partitions are left out, which could be asked for again at any moment."""
_ANSWER_BYTES = 4 << 20
"""How large an answer may be: large enough to be worth a request, small enough for a processor's cache."""
_PAUSE_MS = 100
_GONE_MS = 30_000
"""How long a topic may be unknown to its cluster before it counts as deleted."""


class Fetcher:
    """Fills the logs of partitions.

    Args:
        cluster: The client; it must watch the topics.
        clock: The time.
        blocked: Told why fetching doesn't go on.
        committed: Whether what open and aborted transactions wrote is left out.
        buffer_bytes: How many bytes may wait to be taken.
        out_of_range: Returns where a partition goes on whose position isn't there any more.
        came_back: Told when a partition is there again that the cluster did not know for a while; raises an error if
            it is another one.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        blocked: Callable[[str | None], None],
        *,
        committed: bool,
        buffer_bytes: int,
        out_of_range: Callable[[Partition, int], Awaitable[int]],
        came_back: Callable[[Partition], Awaitable[None]],
    ) -> None:
        self.logs: dict[Partition, PartitionLog] = {}
        """What is fetched of each partition, and from where."""
        self._cluster = cluster
        self._clock = clock
        self._blocked = blocked
        self._committed = committed
        self._buffer_bytes = buffer_bytes
        self._out_of_range = out_of_range
        self._came_back = came_back
        self._asked: set[int] = set()
        self._left_out = False
        self._paused: dict[Partition, int] = {}
        self._unknown_since: dict[Partition, int] = {}
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._failed: StreamprocError | None = None

    def add(self, logs: Mapping[Partition, PartitionLog]) -> None:
        """Fetch further partitions."""
        self.logs.update(logs)
        self._wake.set()

    def taken(self) -> None:
        """Learn that something was taken, so that there may be room again."""
        self._wake.set()

    def check(self) -> None:
        """Raise what fetching has failed with.

        Raises:
            StreamprocError: It can't go on.
        """
        if self._failed is not None:
            raise self._failed

    async def arrived(self) -> None:
        """Return once something may have arrived, or fetching has failed; may be cancelled."""
        await self._arrived.wait()
        self._arrived.clear()

    def fail(self, error: StreamprocError) -> None:
        """Have the reader raise an error."""
        self._failed = error
        self._arrived.set()

    async def run(self) -> None:
        """Fetch until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._wake.clear()
                    due = self._due()
                    for node, partitions in due.items():
                        self._asked.add(node)
                        tasks.create_task(self._fetch(node, partitions))
                    await self._wake_or_pause()
        except* StreamprocError as group:
            self.fail(_first(group))
        finally:
            self._arrived.set()

    def _due(self) -> dict[int, list[PartitionLog]]:
        """Return what to ask now, by broker."""
        now = self._clock.now()
        share = max(1, self._buffer_bytes // max(1, len(self.logs)))
        due: dict[int, list[PartitionLog]] = defaultdict(list)
        self._left_out = False
        for partition, log in self.logs.items():
            if self._paused.get(partition, 0) > now:
                continue
            if log.bytes >= share:
                self._left_out = True
                continue
            node = self._cluster.leader(*partition)
            if node is None:
                if partition.number not in self._cluster.partitions(partition.topic):
                    self._check_gone(partition)
                self._pause([log], f"{partition} has no leader")
            elif node not in self._asked:
                due[node].append(log)
        return due

    async def _wake_or_pause(self) -> None:
        """Wait for something to change, or for the end of a pause, after which the leaders are looked up anew."""
        if not self._paused:
            await self._wake.wait()
            return
        until = min(self._paused.values())
        waiting = asyncio.ensure_future(self._wake.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep_until(until))
        try:
            await asyncio.wait((waiting, sleeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()
        if self._clock.now() >= until:
            try:
                await self._cluster.refresh()
            except (KafkaError, OSError) as error:
                self._pause(self.logs.values(), f"no broker of {self._cluster.address} answers: {error}")
            else:
                now = self._clock.now()
                self._paused = {partition: until for partition, until in self._paused.items() if until > now}

    def _pause(self, logs: Any, reason: str) -> None:
        """Leave partitions out for a moment."""
        self._blocked(reason)
        until = self._clock.now() + _PAUSE_MS
        for log in logs:
            self._paused[log.partition] = until

    async def _fetch(self, node: int, logs: Sequence[PartitionLog]) -> None:
        """Ask a broker once."""
        try:
            answer = await self._cluster.fetch(node, self._request(logs))
        except (TimeoutError, KafkaError, OSError) as error:
            self._pause(logs, f"broker {node} doesn't answer: {error!r}")
        else:
            healthy = True
            for topic, partitions in answer.topics:
                for number, code, high_watermark, *rest in partitions:
                    partition = Partition(topic, number)
                    if code:
                        healthy = await self._error(self.logs[partition], for_code(code)) and healthy
                        continue
                    if partition in self._unknown_since:
                        await self._came_back(partition)
                        del self._unknown_since[partition]
                    aborted, data = _aborted(rest), rest[-1]
                    log = self.logs[partition]
                    if data:
                        log.add(data, aborted)
                    log.answered(high_watermark, self._clock.now())
            if healthy and not self._paused:
                self._blocked(None)
        finally:
            self._asked.discard(node)
            self._wake.set()
            self._arrived.set()

    def _request(self, logs: Sequence[PartitionLog]) -> FetchRequest:
        share = min(_ANSWER_BYTES, max(1 << 20, self._buffer_bytes // len(self.logs)))
        topics: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for log in logs:
            topics[log.partition.topic].append((log.partition.number, log.fetch_from, share))
        wait = _SHORT_WAIT_MS if self._left_out else _WAIT_MS
        return FetchRequest(wait, 1, min(_ANSWER_BYTES, self._buffer_bytes), int(self._committed), list(topics.items()))

    async def _error(self, log: PartitionLog, kind: type[KafkaError]) -> bool:
        """Act on what a broker says of a partition, and return whether fetching goes on undisturbed.

        Raises:
            SourceError: It is final.
        """
        partition = log.partition
        if kind is OffsetOutOfRangeError:
            log.go_to(await self._out_of_range(partition, log.fetch_from))
            return True
        if kind is TopicAuthorizationFailedError:
            raise SourceError(
                f"this client may not read topic {partition.topic!r} any more: grant it READ on the topic, and start "
                f"again; it goes on where it was"
            )
        if kind is CorruptRecordException:
            raise SourceError(f"the broker can't read {partition} at offset {log.fetch_from}: its log is damaged there")
        if kind is UnknownTopicOrPartitionError:
            self._check_gone(partition)
        elif not kind.retriable:
            raise SourceError(f"reading {partition} at offset {log.fetch_from} failed: {kind.__name__}")
        self._pause([log], f"{partition} can't be read: {kind.__name__}")
        return False

    def _check_gone(self, partition: Partition) -> None:
        """Learn that the cluster doesn't know a partition.

        Raises:
            SourceError: For so long that it was not only made or moved a moment ago.
        """
        since = self._unknown_since.setdefault(partition, self._clock.now())
        if self._clock.now() - since >= _GONE_MS:
            raise SourceError(
                f"topic {partition.topic!r} or its partition {partition.number} is gone: it was deleted, or this "
                f"client may not see it. Take it out of the source; if it was made anew, start anew with other state"
            )


def _aborted(fields: Sequence[Any]) -> list[tuple[int, int]]:
    """Return the aborted transactions in an answer: the only list among the fields in front of the records."""
    for field in fields[:-1]:
        if isinstance(field, list):
            return [(producer, first) for producer, first in field]
    return []


def _first(group: BaseExceptionGroup[StreamprocError]) -> StreamprocError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, StreamprocError)
    return error
