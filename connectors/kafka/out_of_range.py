"""Where a partition is read on whose position is not there any more."""

from __future__ import annotations

import logging
from functools import partial
from typing import Literal, TypeAlias

from streamproc.errors import SourceError
from streamproc.io.source import SourceContext

from .cluster import Cluster
from .offsets import EARLIEST, LATEST, Partition, list_offsets
from .patience import patiently

__all__ = ["OutOfRange", "position_instead"]

log = logging.getLogger("streamproc.kafka")

OutOfRange: TypeAlias = 'Literal["fail", "earliest", "latest"]'
"""What a source does about it."""


async def position_instead(
    cluster: Cluster, partition: Partition, offset: int, policy: OutOfRange, context: SourceContext
) -> int:
    """Return where to go on.

    Args:
        cluster: The client; it must watch the topic.
        partition: The partition.
        offset: The position.
        policy: What the source says.
        context: The source's.

    Raises:
        SourceError: The policy is to fail.
        KafkaError: A broker can't answer.
    """
    begin, end = [
        (await patiently(partial(list_offsets, cluster, {partition: time}, committed=False), cluster, context))[
            partition
        ]
        for time in (EARLIEST, LATEST)
    ]
    there = f"it holds {begin} to {end}"
    if policy == "fail":
        raise SourceError(
            f"{partition} is to be read on at offset {offset}, which is not there: {there}. Records were removed "
            f"before they were read (retention), or the topic was made anew. To go on without them: "
            f'KafkaSource(out_of_range="earliest") or "latest", or `streamproc offsets reset MODULE:APP --to …`'
        )
    goal = (begin if policy == "earliest" else end) or 0
    log.warning(
        "position out of range",
        extra={"partition": str(partition), "offset": offset, "there": there, "goes_on_at": goal},
    )
    return goal
