"""What a producer makes of the answers of brokers: which refusals end it, and which it tries again."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.protocol.transaction import (  # type: ignore[import-untyped]
    AddPartitionsToTxnResponse_v0,
    TxnOffsetCommitResponse_v0,
)

from streamproc.connectors.kafka import KafkaSettings
from streamproc.connectors.kafka.cluster import Cluster, Coordinator
from streamproc.connectors.kafka.offsets import Committed, Partition
from streamproc.connectors.kafka.transaction import Producer, StartAgainError
from streamproc.errors import SinkError
from streamproc.eventtime.clock import SystemClock

PARTITION = Partition("t", 0)
NOT_COORDINATOR = 16


class Brokers(Cluster):
    """Two brokers, the second of which is the coordinator of all groups; the coordinator of transactions refuses.

    Args:
        refusal: The code with which it does.
    """

    def __init__(self, refusal: int = 0) -> None:
        super().__init__(KafkaSettings(bootstrap_servers="nowhere:1"), SystemClock(), lambda reason: None)
        self.offsets: dict[str, int] = {}
        """What groups have committed for the partition."""
        self._refusal = refusal
        # As it was before the group moved from one to the other.
        self._believed = {"group": 1}

    async def ask_coordinator(self, kind: Coordinator, key: str, request: Any) -> Any:
        if kind is Coordinator.TRANSACTION:
            return AddPartitionsToTxnResponse_v0(0, [("t", [(0, self._refusal)])])
        if self._believed.setdefault(key, 2) != 2:
            return TxnOffsetCommitResponse_v0(0, [("t", [(0, NOT_COORDINATOR)])])
        self.offsets[key] = 5
        return TxnOffsetCommitResponse_v0(0, [("t", [(0, 0)])])

    def forget_coordinator(self, kind: Coordinator, key: str) -> None:
        if kind is Coordinator.GROUP:
            self._believed.pop(key, None)


async def test_a_group_that_has_moved_is_found_at_the_next_attempt() -> None:
    brokers = Brokers()
    producer = Producer(brokers, SystemClock(), "id", 60_000)
    with pytest.raises(StartAgainError, match="TxnOffsetCommit to group 'group': NotCoordinator"):
        await producer.commit_offsets("group", {PARTITION: Committed(5)})
    await producer.commit_offsets("group", {PARTITION: Committed(5)})
    assert brokers.offsets == {"group": 5}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (17, "the topic's name is none that may be written to .InvalidTopicError"),
        (31, "grant it IDEMPOTENT_WRITE on the cluster"),
        (32, r"raise its message.timestamp.after.max.ms.*event_time\(max_ahead=…\).*InvalidTimestampError"),
        (35, "the broker is too old for this request"),
        (50, r"KafkaSink\(transaction_timeout=…\) is more than the brokers' transaction.max.timeout.ms allows"),
        (76, r"choose another one by KafkaSink\(compression=…\) \(error 76\)"),
    ],
)
async def test_a_refusal_that_never_passes_ends_it(code: int, problem: str) -> None:
    producer = Producer(Brokers(code), SystemClock(), "id", 60_000)
    with pytest.raises(SinkError, match=problem):
        await producer.add_partitions({PARTITION})


async def test_a_refusal_that_passes_is_one_to_begin_again_after() -> None:
    producer = Producer(Brokers(49), SystemClock(), "id", 60_000)
    with pytest.raises(StartAgainError, match="InvalidProducerIdMapping"):
        await producer.add_partitions({PARTITION})
