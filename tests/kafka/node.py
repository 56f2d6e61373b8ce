"""`Node`: one broker of a cluster as its configuration says it, and free ports for it."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Node", "free_ports"]

# Below the ports that systems give to outgoing connections. On one of those, a client that tries to reach a stopped
# broker can be connected to itself, or hold the port when the broker comes back.
_PORTS = range(20_000, 32_768)


@dataclass(frozen=True)
class Node:
    """A broker that is a controller too (KRaft), on loopback.

    Attributes:
        number: Its id, from 1.
        port: Where clients and other brokers reach it.
        controller_port: Where controllers reach it.
    """

    number: int
    port: int
    controller_port: int

    @classmethod
    def cluster(cls, size: int) -> tuple[Node, ...]:
        """Return the nodes of a new cluster, on ports that are free now."""
        ports = free_ports(2 * size)
        return tuple(cls(i + 1, ports[2 * i], ports[2 * i + 1]) for i in range(size))

    @property
    def address(self) -> str:
        """What a client connects to."""
        return f"127.0.0.1:{self.port}"

    def properties(self, nodes: Sequence[Node], data: Path) -> dict[str, str]:
        """Return the broker's configuration.

        Args:
            nodes: All nodes of the cluster: with three, data is on all and acknowledged by two.
            data: Its folder for data.
        """
        replicas, acknowledge = len(nodes), len(nodes) // 2 + 1
        internal = {
            f"{topic}.{setting}": str(value)
            for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
            # More partitions than brokers would make the first transaction wait for them.
            for setting, value in {"replication.factor": replicas, "num.partitions": replicas}.items()
        }
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.number),
            "controller.quorum.voters": ",".join(f"{node.number}@127.0.0.1:{node.controller_port}" for node in nodes),
            "listeners": f"BROKER://{self.address},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"BROKER://{self.address}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(data),
            **internal,
            "transaction.state.log.min.isr": str(acknowledge),
            "share.coordinator.state.topic.min.isr": str(acknowledge),
            "default.replication.factor": str(replicas),
            "min.insync.replicas": str(acknowledge),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # Tests choose the timestamps of their records: none is too old to keep, or too far ahead to accept.
            "log.retention.ms": "-1",
            "log.message.timestamp.after.max.ms": str(2**63 - 1),
            # What a broker does now and then, it does while a test can see it.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
            "log.cleaner.backoff.ms": "500",
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "500",
            # A quarter of the heap by default.
            "log.cleaner.dedupe.buffer.size": str(4 << 20),
        }


def free_ports(count: int) -> list[int]:
    """Return ports that are free now."""
    with ExitStack() as stack:
        free: list[int] = []
        for port in random.sample(_PORTS, len(_PORTS)):
            attempt = stack.enter_context(socket.socket())
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            free.append(port)
            if len(free) == count:
                return free
    raise OSError(f"fewer than {count} ports are free between {_PORTS.start} and {_PORTS.stop}")
