"""Where a partition is read from: its committed position, or what the source says of partitions that have none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal, TypeAlias

from streamproc.errors import PipelineError

from .cluster import Cluster
from .offsets import EARLIEST, LATEST, Partition, list_offsets

__all__ = ["Start", "check_start", "first_positions"]

Start: TypeAlias = "Literal['earliest', 'latest'] | datetime | Mapping[int, int]"
"""The oldest record, the next one to come, the first of a time or later, or offsets by partition."""


def check_start(start: object) -> None:
    """Refuse what is no start.

    Raises:
        PipelineError: It is none.
    """
    match start:
        case "earliest" | "latest":
            return
        case datetime() if start.tzinfo is not None:
            return
        case Mapping() if all(type(part) is int and type(at) is int and at >= 0 for part, at in start.items()):
            return
        case _:
            raise PipelineError(
                f'KafkaSource(start={start!r}): expected "earliest", "latest", a datetime with a time zone, or a dict '
                f"of offsets by the number of the partition"
            )


async def first_positions(
    cluster: Cluster, partitions: Collection[Partition], start: Start, *, committed: bool
) -> dict[Partition, int]:
    """Return where to read partitions from that have no position yet.

    Args:
        cluster: The client; it must watch the topics.
        partitions: The partitions.
        start: What the source says. A partition without an offset in a dict is read from its beginning.
        committed: Whether the end is that of committed transactions.

    Raises:
        KafkaError: A broker can't answer.
    """
    if not partitions:
        return {}
    offsets: Mapping[int, int] = start if isinstance(start, Mapping) else {}
    time = int(start.timestamp() * 1000) if isinstance(start, datetime) else LATEST if start == "latest" else EARLIEST
    asked = [partition for partition in partitions if partition.number not in offsets]
    found = await list_offsets(cluster, dict.fromkeys(asked, time), committed=committed)
    beyond = [partition for partition, offset in found.items() if offset is None]
    # Nothing is that new: what comes is.
    ends = await list_offsets(cluster, dict.fromkeys(beyond, LATEST), committed=committed)
    positions: dict[Partition, int] = {}
    for partition in partitions:
        offset = found.get(partition)
        offset = ends.get(partition) if offset is None else offset
        positions[partition] = offsets.get(partition.number, 0) if offset is None else offset
    return positions
