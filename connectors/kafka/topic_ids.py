"""The identities of topics: one that was deleted and made anew has another, though its name is the same.

Offsets mean nothing in a topic that was made anew. Kafka tells identities since version 2.8 (KIP-516), in version 10 of
its answer about metadata; aiokafka 0.14 knows the fifth.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO
from typing import Any

from aiokafka.protocol.abstract import AbstractType  # type: ignore[import-untyped]
from aiokafka.protocol.api import Request, RequestStruct, Response  # type: ignore[import-untyped]
from aiokafka.protocol.types import (  # type: ignore[import-untyped]
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from .cluster import Cluster

__all__ = ["topic_ids"]

_NO_ID = bytes(16)


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_text = CompactString("utf-8")


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", _text), ("port", Int32), ("rack", _text), ("tags", TaggedFields)),
        ),
        ("cluster_id", _text),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _text),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Answer
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", _text), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicIdsRequest(Request[_Question]):  # type: ignore[misc]
    """Asks for topics by name; none is made by asking."""

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([(_NO_ID, topic, {}) for topic in self._topics], False, False, False, {})


async def topic_ids(cluster: Cluster, topics: Collection[str]) -> dict[str, str]:
    """Return the identities of topics, as far as the broker tells them.

    Raises:
        KafkaError: No broker answers.
    """
    if not topics:
        return {}
    try:
        answer = await cluster.send_to_any(_TopicIdsRequest(sorted(topics)))
    except NotImplementedError:  # An older broker.
        return {}
    return {topic: found.hex() for code, topic, found, *_ in answer.topics if not code and found != _NO_ID}
