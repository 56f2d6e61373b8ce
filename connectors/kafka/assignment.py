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
        KafkaError: No broker answers, or a topic can't be used at this moment.
    """
    described = await cluster.describe(None if pattern else topics)
    if pattern is not None:
        topics = tuple(sorted(name for name in described if pattern.fullmatch(name)))
    for name in topics:
        topic = described[name]
        if topic.error is None:
            continue
        if topic.error_passes:
            raise topic.error
        raise SourceError(
            f"source {context.name!r} can't read topic {name!r} in {cluster.address}: {type(topic.error).__name__}. "
            f"Make it, mend its name, or grant this client DESCRIBE and READ on it"
        )
    await cluster.watch(topics)
    return [
        Partition(name, number)
        for name in topics
        for number in described[name].partitions
        if number % context.shards == context.shard
    ]
