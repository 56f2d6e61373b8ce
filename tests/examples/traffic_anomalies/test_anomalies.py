"""Made-up traffic through the job: what stands in the end is what a plain computation finds."""

from __future__ import annotations

import math
import signal
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pytest

from examples.traffic_anomalies.alarm import Alert
from examples.traffic_anomalies.pipeline import Minute, Request, build
from examples.traffic_anomalies.traffic import START, requests_of_second
from streamproc import App, BatchInfo, Interval
from streamproc.connectors.generator import GeneratorSource
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.io.source import Source
from streamproc.testing import Driver
from tests.examples.running import line_with, output_of, rows, run, started
from tests.examples.traffic_anomalies.verdicts import MINUTE, standing, verdicts

INCIDENTS = {
    ("/checkout", 25): "spike",
    ("/checkout", 26): "spike",
    ("/search", 40): "drop",
    ("/api", 55): "spike",
    ("/api", 56): "spike",
    ("/api", 57): "spike",
    ("/cart", 74): "drop",
}
"""What is wrong with the made-up traffic, by route and minute."""


def traffic(rate: float, *, seed: int = 1) -> GeneratorSource[list[Request]]:
    """Return 90 minutes of made-up traffic, so many of its seconds in one."""
    return GeneratorSource(requests_of_second, rate=rate, seed=seed, limit=60 * 90)


async def all_requests(seed: int = 1) -> list[Request]:
    """Return the requests that are in it."""
    sink = MemorySink[list[Request]]()
    app = App("traffic")
    app.source(traffic(math.inf, seed=seed)).to(sink)
    driver = Driver(app)
    await driver.start()
    await driver.tick()
    return [request for second in sink.values for request in second]


class Job:
    """The job, with early results every second."""

    def __init__(self, source: Source[list[Request]], out: Path, interval: str = "500ms") -> None:
        self.out = out
        self.minutes: list[Minute] = []
        app = App("anomalies", trigger=Interval(interval))
        build(
            app.source(source).flat_map(list),
            out,
            early=timedelta(seconds=1),
            show_minutes=self.show_minutes,
            show_alerts=show_alerts,
        )
        self.driver = Driver(app)

    def show_minutes(self, minutes: list[Minute], _batch: BatchInfo) -> None:
        self.minutes += minutes

    async def run(self) -> list[dict[str, Any]]:
        """Run it to the end of its input, and return the alerts."""
        await self.driver.start()
        while self.driver.running:
            await self.driver.advance("1m")
        return rows(self.out)


def show_alerts(_alerts: list[Alert], _batch: BatchInfo) -> None:
    pass


@pytest.mark.parametrize(("rate", "interval"), [(20, "500ms"), (75, "2s"), (math.inf, "1s")])
async def test_what_stands_in_the_end_is_right_however_the_traffic_is_cut(
    rate: float, interval: str, tmp_path: Path
) -> None:
    found = standing(await Job(traffic(rate), tmp_path, interval).run())
    assert found == verdicts(await all_requests())
    assert {(route, (start - START) // MINUTE): said for (route, start), (said, _) in found.items()} == INCIDENTS


async def test_each_minute_that_is_over_is_shown_once_with_all_its_routes(tmp_path: Path) -> None:
    job = Job(traffic(75, seed=2), tmp_path)
    await job.run()
    assert [minute.start for minute in job.minutes] == [START + number * MINUTE for number in range(90)]
    assert {len(minute.routes) for minute in job.minutes} == {5}


async def test_a_spike_is_told_early_and_a_drop_at_the_end_of_its_minute(tmp_path: Path) -> None:
    alerts = await Job(traffic(20), tmp_path).run()
    by_minute = {minute: list(told) for minute, told in groupby(alerts, lambda alert: alert["minute"])}
    spikes = [told for told in by_minute.values() if told[0]["verdict"] == "spike"]
    drops = [told for told in by_minute.values() if told[0]["verdict"] == "drop"]
    assert (len(spikes), len(drops)) == (5, 3)
    for *early, on_time in spikes:
        assert {alert["timing"] for alert in early} == {"early"}
        assert on_time["timing"] == "on_time"
        requests = [alert["requests"] for alert in [*early, on_time]]
        assert requests == sorted(requests)
    assert [[(alert["verdict"], alert["timing"]) for alert in told] for told in drops] == [
        [("drop", "on_time")],
        [("drop", "on_time"), ("usual", "late")],
        [("drop", "on_time")],
    ]


def minute(number: int, requests: int) -> list[list[Request]]:
    """Return a second with all the requests of a minute."""
    return [[Request(number * MINUTE + MINUTE * each // requests, "/") for each in range(requests)]]


USUAL = [minute(number, 90 if number % 2 else 110) for number in range(12)]
"""Minutes with 100 requests on average, and a standard deviation of 10."""


async def test_more_than_four_deviations_are_far(tmp_path: Path) -> None:
    source = closed([*USUAL, minute(12, 140), minute(13, 59), minute(14, 300)])
    alerts = await Job(source, tmp_path).run()
    assert [(alert["minute"] // MINUTE, alert["verdict"], alert["requests"]) for alert in alerts] == [
        (13, "drop", 59),
        (14, "spike", 300),
    ]
    assert (alerts[0]["mean"], alerts[0]["deviation"]) == (100.0, 10.0)


async def test_late_requests_correct_an_alert_and_what_later_minutes_are_compared_with(tmp_path: Path) -> None:
    source = closed([*USUAL, minute(12, 10), minute(13, 100), minute(12, 20), minute(12, 70), minute(14, 300)])
    alerts = await Job(source, tmp_path).run()
    assert [(alert["minute"] // MINUTE, alert["verdict"], alert["timing"], alert["requests"]) for alert in alerts] == [
        (12, "drop", "on_time", 10),
        (12, "drop", "late", 30),
        (12, "usual", "late", 100),
        (14, "spike", "on_time", 300),
    ]
    assert (alerts[-1]["mean"], alerts[-1]["deviation"]) == (100.0, 9.6)


@pytest.mark.parametrize("step", ["after_take", "before_commit", "after_commit", "after_publish"])
async def test_a_crash_changes_nothing_in_the_alerts(step: str, tmp_path: Path) -> None:
    random = Random(5)
    seconds = [requests_of_second(second, random) for second in range(60 * 45)]
    batches = [seconds[start : start + 15] for start in range(0, len(seconds), 15)]
    undisturbed = Job(closed(batches), tmp_path / "undisturbed", "1s")
    alerts = await undisturbed.run()
    assert alerts

    job = Job(closed(batches), tmp_path / "crashed", "1s")
    job.driver.crash_at(step, sum(point.step == step for point in undisturbed.driver.steps.reached) // 2)
    await job.driver.start()
    await job.driver.advance("5m")
    assert job.driver.crashed
    await job.driver.restart()
    await job.driver.advance("5m")
    assert not job.driver.running
    assert rows(tmp_path / "crashed") == alerts


def closed(batches: list[list[list[Request]]]) -> MemorySource[list[Request]]:
    source = MemorySource(batches)
    source.close()
    return source


async def test_the_program_goes_on_after_a_kill_and_after_an_interrupt(tmp_path: Path) -> None:
    arguments = ("--out", tmp_path, "--speed", 5_000, "--seed", 3)
    async with started("traffic_anomalies", *arguments) as process:
        assert "/checkout" in await line_with(process.stdout, "08:02")
        process.kill()
        await process.wait()
    async with started("traffic_anomalies", *arguments) as process:
        await line_with(process.stdout, "08:20")
        process.send_signal(signal.SIGINT)
        await output_of(process)
    printed = await run("traffic_anomalies", *arguments)

    assert printed[-1] == f"the alerts are in {tmp_path / 'alerts'}"
    assert standing(rows(tmp_path / "alerts")) == verdicts(await all_requests(seed=3))
