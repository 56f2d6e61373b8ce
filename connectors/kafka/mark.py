"""The mark of a sink in Kafka: which batch it has published last, and which instance of it may publish.

The mark is a committed offset of the sink's own group ``streamproc.<app>.<sink>.<shard>``, for its topic's partition 0:

    offset      the batch id; 0 before the first
    metadata    JSON: {"owner": instance, "batch": batch id, or null before the first}

It is only ever written as a part of a transaction: with a batch's records, or alone when an instance takes over. So it
always tells the truth about the topic. Read it behind `Producer.init`: before, it may be stale.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from streamproc.errors import SinkError

from .cluster import Cluster
from .offsets import Committed, Partition, committed_offsets

__all__ = ["Mark", "MarkPlace"]


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
        found = (await committed_offsets(cluster, self.group, [self.partition])).get(self.partition)
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
