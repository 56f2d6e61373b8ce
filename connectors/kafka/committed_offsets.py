"""What a consumer group has committed, and whether a transaction may yet change it (KIP-447, Kafka 2.5).

A transaction that is ended is complete for its coordinator before each group's coordinator has made its offsets the
committed ones: then the old ones are still told, unless a stable answer is asked for. That is version 7 of the
question; aiokafka 0.14 knows the third.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError, for_code  # type: ignore[import-untyped]
from aiokafka.protocol.api import Request, RequestStruct, Response  # type: ignore[import-untyped]
from aiokafka.protocol.commit import OffsetFetchRequest_v3  # type: ignore[import-untyped]
from aiokafka.protocol.types import (  # type: ignore[import-untyped]
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from .cluster import Cluster, Coordinator
from .offsets import Committed, Partition

__all__ = ["UnstableOffsetsError", "committed_offsets"]

_UNSTABLE_OFFSET_COMMIT = 88
_text = CompactString("utf-8")


class UnstableOffsetsError(KafkaError):  # type: ignore[misc]
    """The end of a transaction decides what is committed, and is not known yet."""

    retriable = True


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _text),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _text),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = _Answer
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("consumer_group", _text),
        ("topics", CompactArray(("topic", _text), ("partitions", CompactArray(Int32)), ("tags", TaggedFields))),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class _CommittedOffsetsRequest(Request[OffsetFetchRequest_v3 | _Question]):  # type: ignore[misc]
    """Asks for what a group has committed; a broker that doesn't know what is stable is asked all the same."""

    API_KEY = 9

    def __init__(self, group: str, topics: Mapping[str, Sequence[int]], *, stable: bool) -> None:
        self._group = group
        self._topics = topics
        self._stable = stable

    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class.API_VERSION < _Question.API_VERSION:
            return request_struct_class(self._group, list(self._topics.items()))
        return request_struct_class(
            self._group, [(topic, numbers, {}) for topic, numbers in self._topics.items()], self._stable, {}
        )


async def committed_offsets(
    cluster: Cluster, group: str, partitions: Collection[Partition], *, stable: bool
) -> dict[Partition, Committed]:
    """Return what a group has committed for some partitions.

    Args:
        cluster: The client.
        group: The group.
        partitions: The partitions.
        stable: Whether an answer that a transaction may yet change is none. Brokers older than 2.5 don't tell.

    Raises:
        UnstableOffsetsError: There is no such answer now.
        KafkaError: The group's coordinator can't answer.
    """
    topics: dict[str, list[int]] = defaultdict(list)
    for partition in partitions:
        topics[partition.topic].append(partition.number)
    request = _CommittedOffsetsRequest(group, topics, stable=stable)
    answer = await cluster.ask_coordinator(Coordinator.GROUP, group, request)
    _check(cluster, group, answer.error_code)
    found: dict[Partition, Committed] = {}
    for topic, parts, *_ in answer.topics:
        for number, offset, *rest in parts:
            # Without the leader's epoch in front of them, and tags behind.
            metadata, code = rest[1:3] if answer.API_VERSION == _Answer.API_VERSION else rest
            _check(cluster, group, code)
            if offset >= 0:
                found[Partition(topic, number)] = Committed(offset, metadata or "")
    return found


def _check(cluster: Cluster, group: str, code: int) -> None:
    if code == _UNSTABLE_OFFSET_COMMIT:
        raise UnstableOffsetsError(group)
    if code:
        cluster.forget_coordinator(Coordinator.GROUP, group)
        raise for_code(code)(group)
