"""A simulated crash comes exactly where it was asked for, and once."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.testing import CrashPoint, SimulatedCrash, Steps


def work(steps: Steps) -> None:
    for step in ("open", "write", "write", "close"):
        steps(step)


def test_a_run_can_be_repeated_with_a_crash_at_each_of_its_steps() -> None:
    first = Steps()
    work(first)
    assert first.reached == [
        CrashPoint("open"),
        CrashPoint("write"),
        CrashPoint("write", 2),
        CrashPoint("close"),
    ]
    for number, point in enumerate(first.reached, 1):
        steps = Steps()
        steps.arm(point.step, point.occurrence)
        with pytest.raises(SimulatedCrash) as caught:
            work(steps)
        assert caught.value.point == point
        assert steps.reached == first.reached[:number]


def test_occurrences_are_counted_from_when_it_is_armed() -> None:
    steps = Steps()
    work(steps)
    steps.arm("write", 2)
    steps("write")
    assert steps.armed == CrashPoint("write", 2)
    with pytest.raises(SimulatedCrash, match=r"at step write \(time 2\)"):
        steps("write")


def test_after_a_crash_the_next_life_goes_on() -> None:
    steps = Steps()
    steps.arm("open")
    with pytest.raises(SimulatedCrash):
        work(steps)
    assert steps.armed is None
    work(steps)


def test_it_can_be_disarmed() -> None:
    steps = Steps()
    steps.arm("close")
    steps.disarm()
    work(steps)


def test_an_occurrence_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        Steps().arm("write", 0)


async def test_no_error_handler_stops_a_crash_on_its_way_out() -> None:
    steps = Steps()
    steps.arm("write")

    async def careful() -> str:
        try:
            await asyncio.to_thread(work, steps)
        except Exception:  # noqa: BLE001  # as user code may do
            return "handled"
        return "done"

    with pytest.raises(SimulatedCrash):
        await careful()
