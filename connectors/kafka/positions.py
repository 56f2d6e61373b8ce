"""`KafkaPositions`: the offsets that an app's partitions hold, for ``streamproc offsets``."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import NoReturn

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from streamproc.errors import SourceError
from streamproc.io.source import Extent, Position, PositionFinder, SourceContext

from .assignment import assigned_partitions
from .cluster import Cluster
from .offsets import EARLIEST, LATEST, Partition, commit_offsets, list_offsets
from .patience import patiently
from .settings import KafkaSettings
from .topic_ids import topic_ids

__all__ = ["KafkaPositions"]


class KafkaPositions(PositionFinder):
    """Finds offsets in the partitions of one shard.

    Args:
        settings: How to reach the cluster.
        topics: The topics by name.
        pattern: Instead of names, what the topics' whole names match.
        committed: Whether the end is that of committed transactions.
        group: The group that is told offsets.
        context: What the engine gives a source.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: tuple[str, ...],
        pattern: re.Pattern[str] | None,
        *,
        committed: bool,
        group: str,
        context: SourceContext,
    ) -> None:
        self._topics = topics
        self._pattern = pattern
        self._committed = committed
        self._group = group
        self._context = context
        self._cluster = Cluster(settings, context.clock, context.blocked)
        self._partitions: list[Partition] = []

    async def start(self) -> None:
        """Connect, and find the partitions."""
        find = partial(assigned_partitions, self._cluster, self._topics, self._pattern, self._context)
        try:
            await self._cluster.start()
            self._partitions = await patiently(find, self._cluster, self._context)
        except (KafkaError, OSError) as error:
            self._give_up(error)

    async def extents(self) -> dict[str, Extent]:
        """Return the first offset of each partition, and the one behind the last record that would be read."""
        starts = await self._list(dict.fromkeys(self._partitions, EARLIEST))
        ends = await self._list(dict.fromkeys(self._partitions, LATEST))
        return {
            str(partition): Extent(starts[partition] or 0, ends[partition] or 0)
            for partition in sorted(self._partitions)
        }

    async def at(self, time: int, partitions: Collection[str]) -> dict[str, Position]:
        """Return the offsets of the first records of a time or later."""
        asked = [Partition.parse(text) for text in partitions]
        found = await self._list(dict.fromkeys(asked, time))
        ends = await self._list({partition: LATEST for partition, offset in found.items() if offset is None})
        return {str(partition): (ends.get(partition) if at is None else at) or 0 for partition, at in found.items()}

    async def identities(self) -> dict[str, Position]:
        """Return the topics' identities."""
        ask = partial(topic_ids, self._cluster, {partition.topic for partition in self._partitions})
        try:
            return {**await patiently(ask, self._cluster, self._context)}
        except (KafkaError, OSError) as error:
            self._give_up(error)

    async def moved(self, positions: Mapping[str, Position]) -> None:
        """Tell the group, so that its lag is true before the app runs again."""
        offsets = {Partition.parse(text): at for text, at in positions.items() if isinstance(at, int)}
        commit = partial(commit_offsets, self._cluster, self._group, offsets)
        try:
            await patiently(commit, self._cluster, self._context)
        except (KafkaError, OSError) as error:
            raise SourceError(
                f"group {self._group!r} can't be told the offsets: {type(error).__name__}: {error}"
            ) from error

    async def close(self) -> None:
        """Disconnect."""
        await self._cluster.close()

    async def _list(self, times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        ask = partial(list_offsets, self._cluster, times, committed=self._committed)
        try:
            return await patiently(ask, self._cluster, self._context)
        except (KafkaError, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> NoReturn:
        raise SourceError(
            f"source {self._context.name!r} can't ask Kafka at {self._cluster.address}: {type(error).__name__}: {error}"
        ) from error
