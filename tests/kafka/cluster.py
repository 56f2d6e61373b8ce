"""`Cluster`: brokers of one Kafka, one or three, whose data goes with them."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kafka.broker import Broker
from tests.kafka.client import Kafka
from tests.kafka.node import Node
from tests.kafka.program import Program
from tests.kafka.security_access import Access
from tests.kafka.watchdog import Watchdog

__all__ = ["Cluster"]


@dataclass(frozen=True)
class Cluster:
    """Brokers that were all started at the same time.

    Attributes:
        brokers: With three of them a topic is on all, and a write is acknowledged when two have it.
    """

    brokers: Sequence[Broker]

    @classmethod
    @contextmanager
    def running(
        cls,
        program: Program,
        size: int = 1,
        access: Access | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Generator[Cluster]:
        """Start a new cluster; in the end its brokers are killed and its data is removed.

        Args:
            program: Kafka.
            size: How many brokers.
            access: Who is let in on other ports, and how; for one broker.
            properties: What to configure otherwise than `Node.properties` does.

        Raises:
            BrokerError: One did not start.
        """
        # /tmp, and not where pytest keeps the folders of the last runs.
        folder = Path(tempfile.mkdtemp(prefix="streamproc-kafka-"))
        with Watchdog(folder) as watchdog:
            nodes = Node.cluster(size)
            brokers = [
                Broker(program, node, nodes, folder / str(node.number), watchdog, access, properties) for node in nodes
            ]
            try:
                with ThreadPoolExecutor(size) as pool:
                    list(pool.map(Broker.start, brokers))
                yield cls(brokers)
            finally:
                for broker in brokers:
                    broker.close()

    @property
    def bootstrap(self) -> str:
        """What a client connects to: all brokers."""
        return ",".join(broker.address for broker in self.brokers)

    @property
    def kafka(self) -> Kafka:
        """A client of it."""
        return Kafka(self.bootstrap, replicas=len(self.brokers))
