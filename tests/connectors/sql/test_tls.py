"""A certificate that can't be verified, or a file that isn't there, is not waited for; a server that isn't there is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from streamproc.connectors.sql import SqlSink
from streamproc.errors import SinkError
from tests.connectors.sql.life import Life
from tests.connectors.sql.words import Word, words
from tests.kafka.security_certificates import Certificates
from tests.postgres.client import Postgres
from tests.postgres.server import PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Return certificates of two authorities."""
    return Certificates.made_in(tmp_path)


@pytest.fixture
def secured(postgres_server: PostgresServer, certificates: Certificates) -> PostgresServer:
    """Return a server with a certificate for 127.0.0.1."""
    with Postgres(postgres_server.url) as postgres:
        postgres.run("ALTER SYSTEM SET ssl = on")
    postgres_server.stop()
    data = postgres_server.folder / "data"
    for given, name in ((certificates.broker, "server.crt"), (certificates.key(certificates.broker), "server.key")):
        shutil.copy(given, data / name)
        os.chown(data / name, data.stat().st_uid, data.stat().st_gid)
        (data / name).chmod(0o600)
    postgres_server.start()
    return postgres_server


async def test_a_certificate_is_verified(
    secured: PostgresServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = SqlSink[Word](f"{secured.url}?sslmode=verify-full", "words", create=Word)
    monkeypatch.setenv("PGSSLROOTCERT", str(certificates.authority))
    async with Life.of(sink) as life:
        await life.publish(1, [Word("a")])
        monkeypatch.setenv("PGSSLROOTCERT", str(certificates.stranger))
        with Postgres(secured.url) as postgres:
            postgres.run(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_ssl WHERE ssl AND pid <> pg_backend_pid()"
            )
            with pytest.raises(SinkError, match=r"can't write batch 2 .*certificate verify failed"):
                await life.publish(2, [Word("b")])
            assert words(postgres) == ["a"]
    refused = Life(sink, committed=1)
    with pytest.raises(SinkError, match=r"can't read what is published in .*certificate verify failed"):
        await refused.writer.start()
    await refused.writer.close()
    assert refused.reports == []


async def test_a_file_that_is_missing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", "nowhere.pem")
    life = Life(SqlSink[Word]("postgresql://ann@127.0.0.1:1/shop?sslmode=verify-full", "words"))
    with pytest.raises(SinkError, match="No such file or directory: a file with a certificate or key for TLS"):
        await life.writer.start()
    await life.writer.close()
    assert life.reports == []


async def test_a_socket_that_is_missing_is_waited_for(tmp_path: Path) -> None:
    life = Life(SqlSink[Word](f"postgresql://ann@/shop?host={tmp_path}", "words"))
    with pytest.raises(SinkError, match=r"No such file or directory: .*, or the server's socket"):
        await life.writer.start()
    await life.writer.close()
    assert any(life.reports)
