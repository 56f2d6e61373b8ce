"""Offsets: where partitions begin and end, and telling a consumer group how far somebody has come."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka.errors import for_code  # type: ignore[import-untyped]
from aiokafka.protocol.commit import OffsetCommitRequest  # type: ignore[import-untyped]
from aiokafka.protocol.offset import OffsetRequest  # type: ignore[import-untyped]

from .cluster import Cluster, Coordinator

__all__ = ["EARLIEST", "LATEST", "Committed", "Partition", "commit_offsets", "list_offsets"]

EARLIEST: Final = -2
LATEST: Final = -1


class Partition(NamedTuple):
    """A partition of a topic. As text, in positions and messages, it is ``topic/number``."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"

    @classmethod
    def parse(cls, text: str) -> Partition:
        """Return the partition that a text names.

        Raises:
            ValueError: It names none.
        """
        topic, slash, number = text.rpartition("/")
        if not slash or not number.isdigit():
            raise ValueError(f"{text!r} is no partition: expected topic/number")
        return cls(topic, int(number))


@dataclass(frozen=True, slots=True)
class Committed:
    """What a group has committed for a partition.

    Attributes:
        offset: The next record to read; for the marks of sinks, a batch id.
        metadata: What was written beside it.
    """

    offset: int
    metadata: str = ""


async def list_offsets(
    cluster: Cluster, times: Mapping[Partition, int], *, committed: bool = True
) -> dict[Partition, int | None]:
    """Return the first offset of each partition whose record has a time or a later one; None where there is none.

    Args:
        cluster: The client; it must watch the topics.
        times: Epoch milliseconds, `EARLIEST` or `LATEST`.
        committed: Whether `LATEST` is the end of what is committed, or the end of all.

    Raises:
        KafkaError: A broker can't answer.
    """
    found: dict[Partition, int | None] = {}
    for node, asked in cluster.by_leader(times).items():
        topics: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for partition in asked:
            topics[partition.topic].append((partition.number, times[partition]))
        answer = await cluster.send(node, OffsetRequest(-1, int(committed), list(topics.items())))
        for topic, partitions in answer.topics:
            for number, code, _, offset, *_ in partitions:
                if code:
                    raise for_code(code)(f"{topic}/{number}")
                found[Partition(topic, number)] = None if offset < 0 else offset
    return found


async def commit_offsets(cluster: Cluster, group: str, offsets: Mapping[Partition, int]) -> None:
    """Commit offsets for a group that has no members.

    Raises:
        KafkaError: The group's coordinator can't answer, or the group has members.
    """
    topics: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for partition, offset in offsets.items():
        topics[partition.topic].append((partition.number, offset, ""))
    request = OffsetCommitRequest(group, -1, "", -1, list(topics.items()))
    answer = await cluster.ask_coordinator(Coordinator.GROUP, group, request)
    for _, parts in answer.topics:
        for _, code in parts:
            if code:
                cluster.forget_coordinator(Coordinator.GROUP, group)
                raise for_code(code)(group)
