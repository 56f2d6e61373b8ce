"""Which partitions have an open transaction of a producer (KIP-664, Kafka 2.8), which aiokafka 0.14 can't ask."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka.errors import (  # type: ignore[import-untyped]
    IncompatibleBrokerVersion,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response  # type: ignore[import-untyped]
from aiokafka.protocol.types import (  # type: ignore[import-untyped]
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from .cluster import Cluster
from .offsets import Partition

__all__ = ["open_transactions"]

_text = CompactString("utf-8")


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 61
    API_VERSION = 0
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
                        ("error_code", Int16),
                        ("error_message", _text),
                        (
                            "active_producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("current_txn_start_offset", Int64),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("topics", CompactArray(("topic", _text), ("partitions", CompactArray(Int32)), ("tags", TaggedFields))),
        ("tags", TaggedFields),
    )


class _DescribeProducersRequest(Request[_Question]):  # type: ignore[misc]
    API_KEY = 61

    def __init__(self, topics: Mapping[str, Sequence[int]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([(topic, numbers, {}) for topic, numbers in self._topics.items()], {})


async def open_transactions(cluster: Cluster, producer: int, partitions: Collection[Partition]) -> set[Partition]:
    """Return those of some partitions that have an open transaction of a producer.

    None of a partition that this client may not read, and of a broker too old to be asked.

    Raises:
        KafkaError: A broker can't answer.
    """
    found: set[Partition] = set()
    for node, asked in cluster.by_leader(partitions).items():
        topics: dict[str, list[int]] = defaultdict(list)
        for partition in asked:
            topics[partition.topic].append(partition.number)
        try:
            answer = await cluster.send(node, _DescribeProducersRequest(topics))
        except (IncompatibleBrokerVersion, NotImplementedError):
            continue
        for topic, parts, _ in answer.topics:
            for number, code, _, producers, _ in parts:
                if code and for_code(code) is not TopicAuthorizationFailedError:
                    raise for_code(code)(f"{topic}/{number}")
                if any(one[0] == producer and one[5] >= 0 for one in producers or ()):
                    found.add(Partition(topic, number))
    return found
