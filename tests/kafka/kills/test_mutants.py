"""The tests by kill find what they are for: each way to break the protocol makes one of them fail."""

from __future__ import annotations

import pytest

from tests.kafka.kills.kinds import KINDS
from tests.kafka.kills.mutants import MUTANTS
from tests.kafka.kills.trial import SINKS, Place, frozen, killed, make_job, refused

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_broken_protocol_is_found(place: Place, name: str) -> None:
    mutant = MUTANTS[name]
    assert mutant.kind in KINDS

    async def trials() -> None:
        for step in mutant.steps:
            job = await make_job(place, step, mutant.kind, SINKS[mutant.sinks].outputs, mutant=name)
            match step:
                case "frozen":
                    await frozen(job)
                case "refused":
                    await refused(place, job)
                case _:
                    await killed(job, step)

    with pytest.raises(AssertionError) as raised:
        await trials()
    print(raised.value)
