"""SIGKILL at every step of the loop and of publishing, for each kind of batch and each sink, on a real broker.

Each result is there once, as if nothing had happened, and what a key was given is in order.
"""

from __future__ import annotations

import asyncio

import pytest

from streamproc.engine.protocol import STEPS
from tests.kafka.kills.kinds import KINDS
from tests.kafka.kills.trial import SINKS, Place, frozen, killed, make_job, refused

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

AT_ONCE = 3
"""How many jobs run side by side: they mostly wait for the disk and the broker."""


@pytest.mark.parametrize("sinks", SINKS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_kill_at_any_step_changes_nothing(place: Place, kind: str, sinks: str) -> None:
    free = asyncio.Semaphore(AT_ONCE)
    kills: dict[str, int] = {}

    async def cell(step: str) -> None:
        async with free:
            job = await make_job(place, step, kind, SINKS[sinks].outputs)
            kills[step] = await killed(job, step)

    async with asyncio.TaskGroup() as tasks:
        for step in (*STEPS, *SINKS[sinks].steps):
            tasks.create_task(cell(step))
    never = [step for step, times in kills.items() if not times]
    assert never == [], "no kill happened at these steps"


async def test_an_instance_that_was_frozen_has_no_effect_when_it_goes_on(place: Place) -> None:
    await frozen(await make_job(place, "job", "keyed state", ["kafka"]))


async def test_what_a_broker_refuses_is_published_when_it_does_not_any_more(place: Place) -> None:
    await refused(place, await make_job(place, "job", "keyed state", ["kafka"]))
