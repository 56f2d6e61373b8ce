"""Random pipelines under random crash schedules give what they give undisturbed.

All randomness comes from the seed in the test's name: a failure is run again with
``pytest "tests/simulation/test_crash_schedules.py::test_crashes_change_nothing[seed]"``.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from streamproc.testing import CrashPoint
from tests.simulation.pipelines import Pipeline

STEP_MS = 250
"""How far time moves between two things that the world does."""


async def run(pipeline: Pipeline, seed: int, crashes: list[CrashPoint]) -> int:
    """Run a pipeline on input from a seed, crash when a schedule says so, and return how often that was."""
    world = random.Random(seed)
    driver = pipeline.driver
    schedule = list(crashes)
    crashed = 0

    async def survive() -> None:
        nonlocal crashed
        while driver.crashed:
            crashed += 1
            arm()
            await driver.restart()

    def arm() -> None:
        if schedule:
            point = schedule.pop(0)
            driver.crash_at(point.step, point.occurrence)

    async def advance(ms: int) -> None:
        until = driver.clock.now() + ms
        while driver.clock.now() < until and driver.running:
            await driver.advance(f"{until - driver.clock.now()}ms")
            await survive()

    arm()
    await driver.start()
    await survive()
    for _ in range(14):
        for source in pipeline.sources:
            if world.random() < 0.6:
                source.send([world.randrange(40) for _ in range(world.randrange(6))])
        await advance(STEP_MS)
    if world.random() < 0.5 and not pipeline.outlives_its_input:
        for source in pipeline.sources:
            source.close()
        await advance(1_000)
    await driver.stop()
    if driver.crashed:
        await survive()
        await driver.stop()
    return crashed


@pytest.mark.parametrize("seed", range(500))
async def test_crashes_change_nothing(seed: int, tmp_path: Path) -> None:
    undisturbed = Pipeline(seed, tmp_path / "undisturbed")
    await run(undisturbed, seed, [])
    reached = undisturbed.driver.steps.reached
    choose = random.Random(f"crashes {seed}")
    schedule = [choose.choice(reached)] + [
        CrashPoint(choose.choice(reached).step, choose.randint(1, 3)) for _ in range(choose.randrange(4))
    ]

    disturbed = Pipeline(seed, tmp_path / "disturbed")
    crashed = await run(disturbed, seed, schedule)

    assert crashed >= 1
    what = f"{disturbed.description} with crashes at {', '.join(map(str, schedule))}"
    assert disturbed.output() == undisturbed.output(), what
