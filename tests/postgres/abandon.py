"""Starts a PostgreSQL, prints its port and its folder, and is killed: what a test run may come to."""

from __future__ import annotations

import os
import signal

from tests.postgres.server import PostgresServer

if __name__ == "__main__":
    with PostgresServer.running() as server:
        print(server.port, server.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
