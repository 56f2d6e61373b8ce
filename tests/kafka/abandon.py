"""Starts a broker, prints its port and its folder, and is killed: what a test run may come to."""

from __future__ import annotations

import os
import signal

from tests.kafka.cluster import Cluster
from tests.kafka.program import Program

if __name__ == "__main__":
    with Cluster.running(Program.find()) as cluster:
        [broker] = cluster.brokers
        print(broker.node.port, broker.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
