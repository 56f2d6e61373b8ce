"""A job under load survives what brokers and machines do, and each result is there once and in order.

``python -m tests.kafka.faults`` and ``python -m tests.kafka.chaos`` do the same for longer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.kafka.chaos import kill
from tests.kafka.client import Kafka
from tests.kafka.cluster import Cluster
from tests.kafka.faults import broker_gone, brokers_killed, brokers_stopped, time_out, two_at_once
from tests.kafka.load import Load
from tests.kafka.program import Program

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.mark.parametrize(
    ("fault", "brokers"),
    [
        pytest.param(functools.partial(brokers_killed, times=3), 3, id="brokers killed"),
        pytest.param(functools.partial(brokers_stopped, times=2), 1, id="brokers stopped"),
        pytest.param(functools.partial(broker_gone, seconds=5), 1, id="broker gone"),
        pytest.param(time_out, 1, id="time-out"),
        pytest.param(two_at_once, 1, id="two at once"),
    ],
)
async def test_a_fault_is_survived(
    program: Program, tmp_path: Path, fault: Callable[[Cluster, Path], Coroutine[Any, Any, Load]], brokers: int
) -> None:
    with Cluster.running(program, brokers) as cluster:
        await fault(cluster, tmp_path / "job")


async def test_kills_at_random_times_are_survived(kafka: Kafka, tmp_path: Path) -> None:
    _, steps = await kill(kafka, tmp_path, kills=20, seed=1)
    assert steps.total() == 20
