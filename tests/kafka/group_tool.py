"""Kafka's own command for consumer groups, as those use it who look after a cluster."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kafka.program import Program

__all__ = ["GroupRow", "describe_group"]

_MAIN = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


@dataclass(frozen=True)
class GroupRow:
    """What it says of one partition of a group.

    Attributes:
        topic: The topic.
        partition: The partition's number.
        offset: The committed offset.
        end: The end of the partition.
        lag: How many offsets lie between.
    """

    topic: str
    partition: int
    offset: int
    end: int
    lag: int


def describe_group(program: Program, bootstrap: str, group: str, scratch: Path) -> list[GroupRow]:
    """Return what ``kafka-consumer-groups.sh --describe`` shows, by topic and partition.

    Args:
        program: Kafka.
        bootstrap: What it connects to.
        group: The group.
        scratch: A folder for what it unpacks.
    """
    done = subprocess.run(
        program.command(
            _MAIN,
            "--bootstrap-server",
            bootstrap,
            "--describe",
            "--group",
            group,
            "--timeout",
            "30000",
            scratch=scratch,
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    rows = [line for line in lines if line and line[0] == group]
    assert rows, done.stdout + done.stderr
    return sorted(
        (
            GroupRow(topic, int(number), int(offset), int(end), int(lag))
            for _, topic, number, offset, end, lag, *_ in rows
        ),
        key=lambda row: (row.topic, row.partition),
    )
