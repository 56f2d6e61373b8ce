"""Clients are let in by each way that Kafka has, and a refusal is told at once."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc import App, Once, Settings
from streamproc.batch import Batch
from streamproc.connectors.kafka import KafkaSettings, KafkaSink, KafkaSource
from streamproc.connectors.kafka.cluster import Cluster as Client
from streamproc.errors import SettingsError, SinkError, SourceError
from streamproc.eventtime.clock import SystemClock
from streamproc.io.sink import OutboxEntry, SinkContext
from streamproc.io.source import Limits, SourceContext, SourceReader
from streamproc.testing.journal import MemoryJournal
from tests.kafka.client import Kafka, unique
from tests.kafka.cluster import Cluster
from tests.kafka.program import Program
from tests.kafka.security_access import PASSWORD, USER, Access
from tests.kafka.security_certificates import KEY_PASSWORD, Certificates
from tests.kafka.security_tokens import CLIENT_ID, CLIENT_SECRET, TokenServer, unsigned_token

pytestmark = [
    pytest.mark.kafka,
    # aiokafka doesn't wait for the end of the TLS connections that it gives up.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

QUICKLY_MS = 10_000
"""A first contact that fails for another reason is tried for a minute."""


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Access:
    return Access.with_certificates(Certificates.made_in(tmp_path_factory.mktemp("certificates")))


@pytest.fixture(scope="module")
def secured(program: Program, access: Access) -> Iterator[Kafka]:
    """Return the plain port of a broker that has others."""
    with Cluster.running(program, access=access) as cluster:
        yield cluster.kafka


@pytest.fixture(autouse=True)
def _running(secured: Kafka) -> None:
    """All tests need that broker, also those that don't go to its plain port."""


def password(mechanism: str, *, user: str = USER, password: str = PASSWORD, tls: bool = False) -> dict[str, Any]:
    return {
        "security.protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
        "allow_plaintext_sasl": True,
    }


async def connect(address: str, given: dict[str, Any]) -> int:
    """Connect as source and sink do, and return how many topics there are."""
    settings = KafkaSettings.of(given | {"bootstrap.servers": address})
    client = Client(settings, SystemClock(), lambda reason: None)
    try:
        await client.start()
        return len(await client.describe(None))
    finally:
        await client.close()


@pytest.fixture(scope="module", autouse=True)
def left_over_connections() -> Iterator[None]:
    """Collect them here, and not in the midst of another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def refusal(address: str, given: dict[str, Any]) -> str:
    """Return why a client isn't let in, which is known soon."""
    clock = SystemClock()
    begin = clock.monotonic()
    with pytest.raises(SettingsError) as raised:
        await connect(address, given)
    assert clock.monotonic() - begin < QUICKLY_MS / 1000
    told = str(raised.value)
    assert told.startswith(f"Kafka at {address} ")
    return told.removeprefix(f"Kafka at {address} ")


async def through(kafka: Kafka, address: str, given: dict[str, Any], state: Path) -> list[bytes | None]:
    """Run a job whose source and sink both connect in some way, and return what it has written."""
    topic_in, topic_out = await kafka.create_topic("in"), await kafka.create_topic("out")
    await kafka.produce(topic_in, [b"a", b"b"])
    reach = {"bootstrap.servers": address} | given
    app = App(unique("app"), trigger=Once(), settings=Settings(state_dir=str(state)))
    app.source(KafkaSource(topic_in, value=str, kafka=reach)).map(str.upper).to(KafkaSink(topic_out, kafka=reach))
    await app.serve()
    return [message.value for message in await kafka.read(topic_out)]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_user_is_let_in_by_password(secured: Kafka, access: Access, tmp_path: Path, mechanism: str) -> None:
    assert await through(secured, access.address("SASL"), password(mechanism), tmp_path) == [b"A", b"B"]


async def test_a_user_is_let_in_by_password_over_tls(secured: Kafka, access: Access, tmp_path: Path) -> None:
    given = password("SCRAM-SHA-512", tls=True) | {"ssl.ca.location": access.certificates.authority}
    assert await through(secured, access.address("SASL_TLS"), given, tmp_path) == [b"A", b"B"]


async def test_a_user_is_let_in_by_a_token(secured: Kafka, access: Access, tmp_path: Path) -> None:
    async def token() -> str:
        return unsigned_token()

    given = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl_oauth_token": token,
        "ssl.ca.location": access.certificates.authority,
    }
    assert await through(secured, access.address("SASL_TLS"), given, tmp_path) == [b"A", b"B"]


def endpoint(url: str, secret: str = CLIENT_SECRET) -> dict[str, Any]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.token.endpoint.url": url,
        "sasl.oauthbearer.client.id": CLIENT_ID,
        "sasl.oauthbearer.client.secret": secret,
        "allow_plaintext_sasl": True,
    }


async def test_tokens_come_from_an_endpoint(secured: Kafka, access: Access, tmp_path: Path) -> None:
    with TokenServer.running() as server:
        given = endpoint(server.url) | {"sasl.oauthbearer.scope": "kafka all"}
        assert await through(secured, access.address("SASL"), given, tmp_path) == [b"A", b"B"]
    assert set(server.scopes) == {"kafka all"}


async def test_a_broker_is_known_by_its_certificate(secured: Kafka, access: Access, tmp_path: Path) -> None:
    given = {"security.protocol": "SSL", "ssl.ca.location": access.certificates.authority}
    assert await through(secured, access.address("TLS"), given, tmp_path) == [b"A", b"B"]


@pytest.mark.parametrize("key", ["beside", "encrypted", "together"])
async def test_a_client_is_known_by_its_certificate(secured: Kafka, access: Access, tmp_path: Path, key: str) -> None:
    own = access.certificates
    files: dict[str, dict[str, Any]] = {
        "beside": {"ssl.certificate.location": own.client, "ssl.key.location": own.key(own.client)},
        "encrypted": {
            "ssl.certificate.location": own.client,
            "ssl.key.location": own.encrypted_key,
            "ssl.key.password": KEY_PASSWORD,
        },
        "together": {"ssl.certificate.location": own.together(own.client)},
    }
    given = {"security.protocol": "SSL", "ssl.ca.location": own.authority} | files[key]
    assert await through(secured, access.address("MUTUAL"), given, tmp_path) == [b"A", b"B"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_told(access: Access, mechanism: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = await refusal(access.address("SASL"), password(mechanism, password="wrong-and-secret"))
    assert told.startswith(f"refuses user 'ann' by {mechanism}: Authentication failed")
    assert told.endswith("Check sasl_username and sasl_password")
    assert "wrong-and-secret" not in told + caplog.text
    assert "Unable connect" in caplog.text


async def test_a_token_that_is_refused_is_told(access: Access) -> None:
    async def old() -> str:
        return unsigned_token(lifetime_s=-60)

    given = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "allow_plaintext_sasl": True}
    told = await refusal(access.address("SASL"), given | {"sasl_oauth_token": old})
    assert told.startswith("refuses the token by OAUTHBEARER: ")
    assert told.endswith("Check what gives the tokens")


async def test_an_endpoint_that_gives_no_token_is_told(access: Access) -> None:
    with TokenServer.running() as server:
        told = await refusal(access.address("SASL"), endpoint(server.url, "wrong-and-secret"))
    assert f"no token for Kafka: {server.url} answers 401 Unauthorized (invalid_client: who is that?)" in told
    assert "wrong-and-secret" not in told


async def test_a_function_that_gives_no_token_is_told(access: Access) -> None:
    async def failing() -> str:
        raise LookupError("hunter2")

    given = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "allow_plaintext_sasl": True}
    told = await refusal(access.address("SASL"), given | {"sasl_oauth_token": failing})
    assert told == "was not asked to let this client in: sasl_oauth_token has failed with LookupError"


async def test_a_mechanism_that_the_broker_lacks_is_told(access: Access) -> None:
    given = password("PLAIN", tls=True) | {"ssl.ca.location": access.certificates.authority}
    told = await refusal(access.address("PASSWORD_TLS"), given)
    assert told == "does not let clients in by PLAIN: set sasl_mechanism to one that it has"


async def test_an_authority_that_is_not_trusted_is_told(access: Access) -> None:
    for trusted in ({"ssl.ca.location": access.certificates.stranger}, {}):
        told = await refusal(access.address("TLS"), {"security.protocol": "SSL"} | trusted)
        assert told.startswith("shows a certificate that is not trusted: ")
        assert "Check that ssl_ca has the authority that signed it" in told


async def test_a_certificate_for_another_host_is_told(access: Access) -> None:
    given = {"security.protocol": "SSL", "ssl.ca.location": access.certificates.authority}
    told = await refusal(access.address("ELSEWHERE"), given)
    assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in told
    assert await connect(access.address("ELSEWHERE"), given | {"ssl.endpoint.identification.algorithm": "none"}) >= 0


async def test_a_client_whose_certificate_is_missing_or_unknown_is_told(access: Access) -> None:
    own = access.certificates
    given = {"security.protocol": "SSL", "ssl.ca.location": own.authority}
    unknown = {"ssl.certificate.location": own.unknown_client, "ssl.key.location": own.key(own.unknown_client)}
    for client in ({}, unknown):
        told = await refusal(access.address("MUTUAL"), given | client)
        assert told.startswith("refuses the client's certificate (")
        assert told.endswith("Check ssl_certificate and ssl_key")


async def test_a_port_that_expects_something_else_is_told(secured: Kafka, access: Access) -> None:
    own = {"ssl.ca.location": access.certificates.authority}
    assert await refusal(access.address("TLS"), {}) == (
        "expects TLS on this port, and security_protocol is PLAINTEXT: connect to another, or set security_protocol to "
        "SSL or SASL_SSL"
    )
    assert (await refusal(access.address("SASL_TLS"), password("PLAIN"))).startswith("expects TLS on this port")
    assert await refusal(access.address("SASL"), {}) == (
        "expects SASL on this port, and security_protocol is PLAINTEXT: connect to another, or set security_protocol "
        "to SASL_PLAINTEXT and sasl_mechanism to one of OAUTHBEARER, PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
    )
    assert "set security_protocol to SASL_SSL and sasl_mechanism to one of SCRAM-SHA-512" in await refusal(
        access.address("PASSWORD_TLS"), {"security.protocol": "SSL"} | own
    )
    assert await refusal(secured.bootstrap, {"security.protocol": "SSL"} | own) == (
        "does not encrypt on this port, and security_protocol is SSL: connect to another; without encryption it is "
        "PLAINTEXT"
    )
    assert (await refusal(access.address("SASL"), password("PLAIN", tls=True) | own)).endswith("it is SASL_PLAINTEXT")
    assert await refusal(secured.bootstrap, password("PLAIN")) == (
        "has no SASL on this port: connect to another, or set security_protocol to PLAINTEXT"
    )


async def test_a_job_that_is_not_let_in_ends_with_the_reason(secured: Kafka, access: Access, tmp_path: Path) -> None:
    given = password("PLAIN", password="wrong-and-secret")
    with pytest.raises(SettingsError, match="refuses user 'ann' by PLAIN"):
        await through(secured, access.address("SASL"), given, tmp_path)


def deny(program: Program, kafka: Kafka, operation: str, topic: str, scratch: Path) -> None:
    """Forbid the user to do something with a topic, by Kafka's own tool."""
    rule = ("--add", "--deny-principal", f"User:{USER}", "--operation", operation, "--topic", topic, "--force")
    done = subprocess.run(
        program.command(
            "org.apache.kafka.tools.AclCommand", "--bootstrap-server", kafka.bootstrap, *rule, scratch=scratch
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def read_on(reader: SourceReader) -> None:
    """Read until that fails."""
    while True:
        await reader.take(Limits(10, 1_000))
        await reader.wait()


async def test_a_right_that_is_lost_while_it_runs_is_told(
    program: Program, secured: Kafka, access: Access, tmp_path: Path
) -> None:
    settings = password("SCRAM-SHA-512") | {"bootstrap.servers": access.address("SASL")}
    topic_in, topic_out = await secured.create_topic("in"), await secured.create_topic("out")
    await secured.produce(topic_in, [b"a"])
    context = SourceContext("in", SystemClock(), MemoryJournal, app=unique("app"), timed=False)
    reader = KafkaSource(topic_in, kafka=settings).open(context)
    await reader.start({})
    await reader.wait()
    writer = KafkaSink[str](topic_out, kafka=settings).open(SinkContext(context.app, "out", context.clock))
    await writer.start()
    await writer.publish(OutboxEntry(1, 0, writer.encode(Batch(["a"]))))

    await asyncio.to_thread(deny, program, secured, "Read", topic_in, tmp_path)
    await asyncio.to_thread(deny, program, secured, "Write", topic_out, tmp_path)
    async with asyncio.timeout(30):
        with pytest.raises(SourceError, match=f"may not read topic '{topic_in}' any more: grant it READ"):
            await read_on(reader)
        with pytest.raises(SinkError, match="this client may not write to the topic"):
            await writer.publish(OutboxEntry(2, 0, writer.encode(Batch(["b"]))))
    await reader.close()
    await writer.close()
    assert [message.value for message in await secured.read(topic_out)] == [b"a"]
