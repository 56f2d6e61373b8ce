"""The tests by kill find what they are for: each way to break the protocol makes one of them fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.client import Kafka
from tests.kafka.kills.kinds import KINDS
from tests.kafka.kills.mutants import MUTANTS
from tests.kafka.kills.trial import SINKS, frozen, killed, make_job, refused

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_broken_protocol_is_found(kafka: Kafka, tmp_path: Path, name: str) -> None:
    mutant = MUTANTS[name]
    assert mutant.kind in KINDS

    async def trials() -> None:
        for step in mutant.steps:
            job = await make_job(kafka, tmp_path / step, mutant.kind, SINKS[mutant.sinks].outputs, mutant=name)
            match step:
                case "frozen":
                    await frozen(job)
                case "refused":
                    await refused(kafka, job)
                case _:
                    await killed(job, step)

    with pytest.raises(AssertionError) as raised:
        await trials()
    print(raised.value)
