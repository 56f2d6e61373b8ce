"""The PostgreSQL that tests run is a real one: it keeps what it acknowledged, and ends with the tests."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.postgres.client import Postgres
from tests.postgres.server import PostgresServer

pytestmark = pytest.mark.postgres


def test_what_is_committed_survives_a_crash() -> None:
    with PostgresServer.running() as server:
        with Postgres(server.url) as postgres:
            postgres.run("CREATE TABLE words (word text)")
            postgres.run("INSERT INTO words VALUES (%s)", "a")
        server.kill()
        server.start()
        with Postgres(server.url) as postgres:
            assert postgres.rows("SELECT * FROM words") == [("a",)]
            assert postgres.rows("SHOW fsync") == [("on",)]
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        folder = server.folder
    assert not folder.exists()


@pytest.mark.slow
def test_a_server_ends_with_a_run_that_is_killed() -> None:
    # The server's data goes last: whoever does that has inherited the error output, and holds it until it is done.
    run = subprocess.run(
        [sys.executable, "-m", "tests.postgres.abandon"], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == -9, run.stderr
    port, folder = run.stdout.split()
    assert not Path(folder).exists()
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", int(port)), timeout=30) as connection:
        connection.recv(1)  # Killed, but not yet gone: returns when it is.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
