"""docker-compose.yml, as far as it can be held to the truth without a container engine.

It is checked against the schema of its specification. Its broker is started for real: the class that makes a
configuration of the environment in the image ``apache/kafka`` is in Kafka's jars.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from streamproc.durations import to_ms
from streamproc.settings import Settings
from tests.kafka.broker import Broker
from tests.kafka.client import Kafka
from tests.kafka.node import Node
from tests.kafka.program import VERSION, Program, UnavailableError
from tests.kafka.watchdog import Watchdog

PLACES = {
    "advertised.listeners",
    "controller.quorum.voters",
    "listener.security.protocol.map",
    "listeners",
    "log.dirs",
}
"""Properties with hosts, ports and paths: other ones in containers than in tests."""

Services = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def compose(root: Path) -> Mapping[str, Any]:
    """Return the compose file."""
    compose: Mapping[str, Any] = YAML(typ="safe").load(  # pyright: ignore[reportUnknownMemberType]
        root / "docker-compose.yml"
    )
    return compose


@pytest.fixture(scope="module")
def services(compose: Mapping[str, Any]) -> Services:
    """Return its services by name."""
    services: Services = compose["services"]
    return services


@pytest.fixture(scope="module")
def environment(services: Services) -> Mapping[str, str]:
    """Return the environment of the broker."""
    return {name: str(value) for name, value in services["kafka"]["environment"].items()}


def test_it_follows_the_schema(root: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, root / "docker-compose.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_broker_is_that_of_the_tests(services: Services, environment: Mapping[str, str]) -> None:
    assert services["kafka"]["image"] == f"apache/kafka:{VERSION}"
    node = Node(1, 19_092, 29_093)
    in_tests = node.properties([node], Path("/data"))
    properties = {
        variable.removeprefix("KAFKA_").lower().replace("_", "."): value
        for variable, value in environment.items()
        if variable not in {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}
    }
    assert properties.keys() > PLACES
    assert {name: value for name, value in properties.items() if name not in PLACES} == {
        name: in_tests[name] for name in properties.keys() - PLACES
    }


def test_ports_are_published_on_loopback_only(services: Services) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_a_service_waits_for_what_it_needs(services: Services) -> None:
    needs = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert "healthcheck" in services["kafka"]
    topics = needs.pop("topics")
    assert needs == {
        "kafka": {},
        # `up --wait` takes the end of a service for its success only if another one waits for that.
        "ad-counts": {"topics": "service_completed_successfully"},
        "generate": topics,
        "show": topics,
    }
    assert topics == {"kafka": "service_healthy"}


def test_what_must_outlive_a_container_is_in_a_volume(
    compose: Mapping[str, Any], services: Services, environment: Mapping[str, str]
) -> None:
    assert services["kafka"]["volumes"] == [f"kafka-data:{environment['KAFKA_LOG_DIRS']}"]
    assert services["ad-counts"]["volumes"][0].startswith("ad-counts-state:")
    assert set(compose["volumes"]) == {"kafka-data", "ad-counts-state"}


def test_a_container_that_can_not_write_has_a_folder_for_temporary_files(services: Services) -> None:
    read_only = [service for service in services.values() if service.get("read_only")]
    assert read_only
    assert [service for service in read_only if "/tmp" not in service.get("tmpfs", ())] == []


def test_the_job_has_the_time_for_a_graceful_stop(services: Services) -> None:
    assert to_ms(services["ad-counts"]["stop_grace_period"]) > to_ms(Settings().stop_timeout)


@pytest.fixture
def broker(environment: Mapping[str, str]) -> Iterator[Broker]:
    """Return the broker of the compose file, with other ports and another folder, and storage as the image gives it."""
    try:
        program = Program.find()
    except UnavailableError as error:
        pytest.fail(str(error), pytrace=False)
    node, other = Node.cluster(2)
    folder = Path(tempfile.mkdtemp(prefix="streamproc-kafka-"))
    ports = {"9092": str(node.port), "19092": str(other.port), "29093": str(node.controller_port)}
    moved = {
        name: re.sub(r":(\d+)\b", lambda port: f":{ports[port[1]]}", value).replace("kafka:", "127.0.0.1:")
        for name, value in environment.items()
    } | {"KAFKA_LOG_DIRS": str(folder / "data")}
    with Watchdog(folder) as watchdog:
        for name in ("default", "mounted"):
            (folder / name).mkdir()
        # fmt: off
        setup = program.command(
            "kafka.docker.KafkaDockerWrapper", "setup", "--default-configs-dir", folder / "default",
            "--mounted-configs-dir", folder / "mounted", "--final-configs-dir", folder, scratch=folder,
        )
        # fmt: on
        done = subprocess.run(setup, env=os.environ | moved, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        broker = Broker(program, node, [node], folder, watchdog)
        try:
            broker.start()
            yield broker
        finally:
            broker.close()


@pytest.mark.kafka
async def test_its_broker_starts_and_takes_transactions(broker: Broker) -> None:
    kafka = Kafka(broker.address)
    topic = await kafka.create_topic()
    await kafka.produce(topic, [b"a", b"b"], transactional_id="good")
    await kafka.produce(topic, [b"c"], transactional_id="bad", abort=True)
    assert [message.value for message in await kafka.read(topic)] == [b"a", b"b"]
