"""The mark of a sink in Kafka: which batch it has published last, and which instance of it may publish.

The mark is a committed offset of the sink's own group ``streamproc.<app>.<sink>.<shard>``, for its topic's partition 0:

    offset      the batch id; 0 before the first
    metadata    JSON: {"owner": instance, "batch": batch id, or null before the first}

It is only ever written as a part of a transaction: with a batch's records, or alone when an instance takes over, and
once a day so that it doesn't expire. So it always tells the truth about the topic. It is to be read behind
`Producer.init`: before, it may be stale.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from streamproc.errors import SinkError
from streamproc.eventtime.clock import Clock

from .cluster import Cluster
from .committed_offsets import UnstableOffsetsError, committed_offsets
from .offsets import Committed, Partition

__all__ = ["Mark", "MarkPlace"]

_SETTLING_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
"""How long to wait between looks at a mark that a transaction may yet change."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says.

    Attributes:
        owner: The instance that may publish.
        batch: The last published batch; None if there was none yet.
    """

    owner: str
    batch: int | None


@dataclass(frozen=True, slots=True)
class MarkPlace:
    """Where the mark of a sink is.

    Attributes:
        group: The group.
        partition: The partition.
    """

    group: str
    partition: Partition

    def written(self, mark: Mark) -> dict[Partition, Committed]:
        """Return a mark as the offset to commit."""
        metadata = json.dumps({"owner": mark.owner, "batch": mark.batch})
        return {self.partition: Committed(mark.batch or 0, metadata)}

    async def read(self, cluster: Cluster) -> Mark | None:
        """Return the mark, or None if there is none.

        Raises:
            KafkaError: The group's coordinator can't answer.
            SinkError: Something else has committed an offset there.
        """
        return await self._read(cluster, stable=False)

    async def settled(self, cluster: Cluster, clock: Clock) -> Mark | None:
        """Return the mark behind `Producer.init`, or None if there is none.

        Whatever was begun before is decided then, but the group's coordinator may not know it yet. If it doesn't learn
        it in some seconds, it never will: the coordinator of transactions has left out the markers. Only what was
        committed before is known then.

        Args:
            cluster: The client.
            clock: The time.

        Raises:
            KafkaError: The group's coordinator can't answer.
            SinkError: Something else has committed an offset there.
        """
        for pause in _SETTLING_MS:
            try:
                return await self._read(cluster, stable=True)
            except UnstableOffsetsError:
                await clock.sleep_until(clock.now() + pause)
        return await self.read(cluster)

    async def _read(self, cluster: Cluster, *, stable: bool) -> Mark | None:
        offsets = await committed_offsets(cluster, self.group, [self.partition], stable=stable)
        found = offsets.get(self.partition)
        if found is None:
            return None
        try:
            fields = json.loads(found.metadata)
            return Mark(fields["owner"], fields["batch"])
        except (ValueError, KeyError, TypeError):
            raise SinkError(
                f"group {self.group!r} holds {found} for {self.partition}, which is no mark of a sink: the group "
                f"belongs to the sink alone. Delete its offsets to start anew, or rename the sink with name="
            ) from None
