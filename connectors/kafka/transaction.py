"""The transactions of one producer: Kafka's protocol (KIP-98), step by step.

    InitProducerId          a new epoch: fences whoever had the transactional id, and waits until what he had begun is
                            aborted, or what he had ended is complete
    AddPartitionsToTxn ──> Produce               records, to the leaders
    AddOffsetsToTxn    ──> TxnOffsetCommit       offsets and their metadata, to the group's coordinator
    EndTxn                  commit: from here on all of it will be visible; or nothing, if it never comes

A broker that is sent records or offsets asks the transaction's coordinator whether their partitions are in it
(KIP-890), and can ask one such question about a transaction at a time. So records and offsets are sent one after the
other: sent at the same time, they were refused in every fifth transaction.

Each step either succeeds or raises one of three errors; there is no half-known state to go on from:

* `StartAgainError`: the outcome of the step is not known, or is a refusal that passes. The caller begins again with
  `init`, after which everything before is decided, and looks at what is committed.
* `EpochFencedError`: somebody has a newer epoch: another instance, or the coordinator that has timed us out.
* `SinkError`: it will not work, however often it is tried.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from aiokafka import errors as kafka_errors  # type: ignore[import-untyped]
from aiokafka.protocol.produce import ProduceRequest  # type: ignore[import-untyped]
from aiokafka.protocol.transaction import (  # type: ignore[import-untyped]
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)

from streamproc.errors import SinkError, StreamprocError
from streamproc.eventtime.clock import Clock

from .cluster import Cluster, Coordinator
from .offsets import Committed, Partition
from .outgoing import Outgoing
from .record_batch import RawBatch, seal

__all__ = ["EpochFencedError", "Producer", "StartAgainError"]

_PAUSES_MS = (1, 2, 5, 10, 20, 50)
"""How long to wait while the coordinator completes the transaction before; then always the last."""
_IN_FLIGHT = 5
"""How many requests a broker may have at a time: it remembers the sequence numbers of five batches."""

_NONE, _DUPLICATE_SEQUENCE, _CONCURRENT, _LOADING = 0, 46, 51, 14
_FENCED = {47: "INVALID_PRODUCER_EPOCH", 90: "PRODUCER_FENCED"}
_FINAL = {
    10: "the record is larger than the topic's max.message.bytes",
    17: "the topic's name is none that may be written to",
    18: "the batch is larger than the topic's segment.bytes",
    29: "this client may not write to the topic",
    30: "this client may not use the group",
    31: "this client may not write idempotently: grant it IDEMPOTENT_WRITE on the cluster",
    32: "a record's time is further ahead of the broker's clock, or behind it, than the topic allows: raise its "
    "message.timestamp.after.max.ms (or before.max.ms) to have this batch published, and keep such times away by "
    "event_time(max_ahead=…), or by KafkaSink(timestamp=…)",
    35: "the broker is too old for this request, or too new",
    38: "the broker doesn't accept these records",
    50: "KafkaSink(transaction_timeout=…) is more than the brokers' transaction.max.timeout.ms allows",
    53: "this client may not use the transactional id",
    76: "the broker doesn't know the compression: choose another one by KafkaSink(compression=…)",
    87: "the broker's interceptor or compaction refuses the record (a compacted topic needs keys)",
}


class StartAgainError(StreamprocError):
    """The outcome of a step is not known: begin again with a new epoch."""


class EpochFencedError(StreamprocError):
    """Somebody has a newer epoch of the transactional id."""


class Producer:
    """One producer and its transactions, one at a time.

    Args:
        cluster: The client; it must watch the topics.
        clock: The time.
        transactional_id: Its identity; None for a producer without transactions.
        timeout_ms: After how long without an end the coordinator aborts a transaction.
    """

    def __init__(self, cluster: Cluster, clock: Clock, transactional_id: str | None, timeout_ms: int) -> None:
        self._cluster = cluster
        self._clock = clock
        self._id = transactional_id
        self._timeout_ms = timeout_ms
        self._producer = -1
        self._epoch = -1
        self._sequences: dict[Partition, int] = defaultdict(int)

    @property
    def id(self) -> int:
        """The number of the producer in its record batches."""
        return self._producer

    async def init(self) -> None:
        """Become the producer: with a new epoch, once everything that was begun before is decided."""
        request = InitProducerIdRequest(self._id, self._timeout_ms)
        if self._id is None:
            answer = await self._try(lambda: self._cluster.send_to_any(request))
            self._check([answer.error_code], "InitProducerId")
        else:
            answer = await self._coordinate(request, lambda answer: [answer.error_code], "InitProducerId")
        self._producer, self._epoch = answer.producer_id, answer.producer_epoch
        self._sequences.clear()

    async def add_partitions(self, partitions: Collection[Partition]) -> None:
        """Make partitions a part of the transaction, which begins with that."""
        topics: dict[str, list[int]] = defaultdict(list)
        for topic, number in partitions:
            topics[topic].append(number)
        request = AddPartitionsToTxnRequest(self._id, self._producer, self._epoch, list(topics.items()))
        await self._coordinate(request, _codes_by_partition, "AddPartitionsToTxn")

    async def produce(self, batches: Sequence[Outgoing], time: int) -> dict[Partition, int]:
        """Write batches, and return the offsets behind them when all replicas that have to have them.

        Args:
            batches: What to write; those of one partition in their order.
            time: The timestamp of records that have none.
        """
        by_node: dict[int, list[tuple[Partition, Outgoing]]] = defaultdict(list)
        for batch in batches:
            node = self._cluster.leader(batch.topic, batch.partition)
            if node is None:
                raise StartAgainError(f"{batch.topic}/{batch.partition} has no leader")
            by_node[node].append((Partition(batch.topic, batch.partition), batch))
        ends: dict[Partition, int] = {}
        await _together(*(self._produce(node, its, time, ends) for node, its in by_node.items()))
        return ends

    async def _produce(
        self, node: int, batches: Sequence[tuple[Partition, Outgoing]], time: int, ends: dict[Partition, int]
    ) -> None:
        """Write batches to one broker: each request has one batch of a partition at most."""
        requests: list[dict[Partition, bytearray]] = []
        places: dict[Partition, int] = defaultdict(int)
        for partition, batch in batches:
            place = places[partition]
            places[partition] += 1
            if place == len(requests):
                requests.append({})
            requests[place][partition] = self._sealed(partition, batch, time)
        for at in range(0, len(requests), _IN_FLIGHT):
            await _together(*(self._send(node, request, ends) for request in requests[at : at + _IN_FLIGHT]))

    def _sealed(self, partition: Partition, batch: Outgoing, time: int) -> bytearray:
        sequence = self._sequences[partition]
        [raw] = RawBatch.all_in(batch.batch)
        # As Kafka counts them: behind the largest number comes zero.
        self._sequences[partition] = (sequence + raw.count) % (1 << 31)
        return seal(batch.batch, self._producer, self._epoch, sequence, shift=0 if batch.timed else time)

    async def _send(self, node: int, batches: Mapping[Partition, bytearray], ends: dict[Partition, int]) -> None:
        topics: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for (topic, number), batch in batches.items():
            topics[topic].append((number, bytes(batch)))
        request = ProduceRequest(self._id, -1, self._cluster.request_timeout_ms, list(topics.items()))
        answer = await self._try(lambda: self._cluster.send(node, request))
        codes = {code: f"{topic}/{part[0]}" for topic, parts in answer.topics for part in parts for code in (part[1],)}
        self._check(codes, f"Produce to {', '.join(codes.values())}")
        for topic, parts in answer.topics:
            for number, _, first, *_ in parts:
                partition = Partition(topic, number)
                [raw] = RawBatch.all_in(memoryview(batches[partition]))
                ends[partition] = max(ends.get(partition, 0), first + raw.count)

    async def add_offsets(self, group: str) -> None:
        """Make the offsets of a group a part of the transaction."""
        request = AddOffsetsToTxnRequest(self._id, self._producer, self._epoch, group)
        await self._coordinate(request, lambda answer: [answer.error_code], "AddOffsetsToTxn")

    async def commit_offsets(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        """Write offsets of a group as a part of the transaction."""
        topics: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for (topic, number), committed in offsets.items():
            topics[topic].append((number, committed.offset, committed.metadata))
        request = TxnOffsetCommitRequest(self._id, group, self._producer, self._epoch, list(topics.items()))
        answer = await self._try(lambda: self._cluster.ask_coordinator(Coordinator.GROUP, group, request))
        codes = _codes_by_partition(answer)
        if any(codes):
            self._cluster.forget_coordinator(Coordinator.GROUP, group)
        self._check(codes, f"TxnOffsetCommit to group {group!r}")

    async def commit(self) -> None:
        """Make the transaction visible."""
        request = EndTxnRequest(self._id, self._producer, self._epoch, True)
        await self._coordinate(request, lambda answer: [answer.error_code], "EndTxn")

    async def _coordinate(self, request: Any, codes: Callable[[Any], Iterable[int]], what: str) -> Any:
        """Ask the transaction's coordinator, again while it is busy with the transaction before."""
        transactional_id = self._id
        assert transactional_id is not None
        give_up = self._clock.monotonic() + self._timeout_ms / 1000
        for pause in chain(_PAUSES_MS, repeat(_PAUSES_MS[-1])):
            answer = await self._try(
                lambda: self._cluster.ask_coordinator(Coordinator.TRANSACTION, transactional_id, request)
            )
            found = set(codes(answer))
            if not found & {_CONCURRENT, _LOADING} or self._clock.monotonic() > give_up:
                break
            await self._clock.sleep_until(self._clock.now() + pause)
        self._check(found, what)
        return answer

    async def _try(self, ask: Any) -> Any:
        try:
            return await ask()
        except kafka_errors.TransactionalIdAuthorizationFailed as error:
            raise SinkError(f"this client may not use the transactional id {self._id!r}") from error
        except (TimeoutError, kafka_errors.KafkaError, OSError) as error:
            raise StartAgainError(f"no answer: {error!r}") from error

    def _check(self, codes: Iterable[int], what: str) -> None:
        """Raise the worst of some error codes, if there is one."""
        wrong = [code for code in codes if code not in (_NONE, _DUPLICATE_SEQUENCE)]
        for code in wrong:
            if code in _FINAL:
                raise SinkError(f"{what}: {_FINAL[code]} ({_name(code)})")
        for code in wrong:
            if code in _FENCED:
                raise EpochFencedError(f"{what}: {_FENCED[code]}")
        if wrong:
            if self._id is not None:
                self._cluster.forget_coordinator(Coordinator.TRANSACTION, self._id)
            raise StartAgainError(f"{what}: {_name(wrong[0])}")


async def _together(*steps: Coroutine[Any, Any, None]) -> None:
    """Run steps of a transaction at the same time, until all are done or one has failed.

    Raises:
        StreamprocError: What decides of the failures: one that is final, then fencing, then any other.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            for step in steps:
                tasks.create_task(step)
    except BaseExceptionGroup as group:
        raise _worst(group) from group


def _name(code: int) -> str:
    """Return the name of an error code; aiokafka doesn't know all."""
    kind = kafka_errors.for_code(code)
    return kind.__name__ if kind.errno == code else f"error {code}"


def _codes_by_partition(answer: Any) -> list[int]:
    return [code for _, partitions in answer.errors for _, code in partitions]


def _worst(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that decides what is done: a final one, then fencing, then any other."""
    errors: list[BaseException] = []
    rest: list[BaseException] = [group]
    while rest:
        error = rest.pop()
        if isinstance(error, BaseExceptionGroup):
            rest += error.exceptions
        else:
            errors.append(error)
    for kind in (SinkError, EpochFencedError, StartAgainError):
        for error in errors:
            if isinstance(error, kind):
                return error
    return errors[0]
