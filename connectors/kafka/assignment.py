"""Which partitions a shard reads: those of its topics with ``number % shards == shard``."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Sequence

from streamproc.errors import SourceError
from streamproc.io.source import SourceContext

from .cluster import Cluster
from .offsets import Partition

__all__ = ["assigned_partitions"]


async def assigned_partitions(
    cluster: Cluster, topics: Sequence[str], pattern: re.Pattern[str] | None, context: SourceContext
) -> list[Partition]:
    """Return the partitions of a shard, whose topics are watched from then on.

    Args:
        cluster: The client.
        topics: The topics by name.
        pattern: Instead of names, what the topics' whole names match.
        context: The source's.

    Raises:
        SourceError: A topic that is named is not there, or may not be read.
        KafkaError: No broker answers.
    """
    described = await cluster.describe(None if pattern else topics)
    if pattern is not None:
        topics = tuple(sorted(name for name in described if pattern.fullmatch(name)))
    for name in topics:
        error = described[name].error if name in described else None
        if error is None:
            continue
        if error.retriable and type(error).__name__ != "UnknownTopicOrPartitionError":
            raise error
        raise SourceError(
            f"source {context.name!r} can't read topic {name!r} in {cluster.address}: {type(error).__name__}. Make it, "
            f"mend its name, or grant this client DESCRIBE and READ on it"
        )
    await cluster.watch(topics)
    return [
        Partition(name, number)
        for name in topics
        for number in described[name].partitions
        if number % context.shards == context.shard
    ]
