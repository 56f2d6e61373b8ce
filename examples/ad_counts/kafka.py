"""How all programs of the example reach Kafka, and what they say when they can't."""

# aiokafka has no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code  # type: ignore[import-untyped]

from streamproc import StreamprocError
from streamproc.connectors.kafka import KafkaSettings

__all__ = ["ADS", "COUNTS", "KAFKA", "client_options", "make_topics", "run"]

ADS = "ads"
"""The topic with the events."""

COUNTS = "ad-counts"
"""The topic with the results."""

KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:9092")
"""Where Kafka is, unless the environment says otherwise: ``KAFKA_BOOTSTRAP_SERVERS`` and so on."""


def client_options() -> dict[str, Any]:
    """Return the arguments for aiokafka's clients.

    Raises:
        SettingsError: A variable in the environment is wrong.
    """
    return KAFKA.resolved(os.environ).client_options()


async def make_topics(*names: str, replicas: int = 1) -> list[str]:
    """Make topics of one partition, and return the names of those that were not there.

    One partition, since the watermark is that of the newest event of all partitions: if the job, after an
    interruption, read one of them far ahead of another, events of the other would be late.

    Args:
        names: The topics.
        replicas: On how many brokers they are.

    Raises:
        KafkaError: No broker answers, or it refuses.
    """
    admin = AIOKafkaAdminClient(**client_options())
    made: list[str] = []
    try:
        await admin.start()
        answer = await admin.create_topics([NewTopic(name, 1, replicas) for name in names])
        for error in answer.to_object()["topic_errors"]:
            if error["error_code"] == 0:
                made.append(error["topic"])
            elif (kind := for_code(error["error_code"])) is not TopicAlreadyExistsError:
                raise kind(f"topic {error['topic']!r} can't be made: {error['error_message']}")
    finally:
        await admin.close()
    return made


def run(program: Coroutine[Any, Any, None]) -> int:
    """Run a program and return its exit code; an error of Kafka or of the settings is printed to standard error."""
    try:
        asyncio.run(program)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads what is printed, such as `head`, has seen enough. What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KafkaError, StreamprocError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0
