"""Who raises an alert, and who doesn't."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from examples.weblog.pipeline import build
from examples.weblog.traffic import Traffic
from streamproc import App, Asap
from streamproc.connectors.memory import MemorySource
from streamproc.testing import Driver
from tests.examples.running import rows

START = 1_700_000_000_000


async def alerts(lines: list[str], out: Path) -> list[dict[str, Any]]:
    """Return the alerts that a log raises."""
    source = MemorySource[str]([lines])
    source.close()
    app = App("weblog", trigger=Asap())
    build(app.source(source), out, log_time=True)
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    return rows(out / "alerts")


def request(second: int, client: str, status: int, path: str = "/") -> str:
    minute, second = divmod(second, 60)
    return f'{client} - - [17/May/2015:10:{minute:02d}:{second:02d} +0000] "GET {path} HTTP/1.1" {status} 5 "-" "-"'


async def test_a_client_that_tries_passwords_raises_one_alert_however_long_it_goes_on(tmp_path: Path) -> None:
    lines = [request(second, "10.6.6.6", 401, "/login") for second in range(0, 300, 2)]
    (alert,) = await alerts(lines, tmp_path)
    assert (alert["kind"], alert["client"]) == ("brute_force", "10.6.6.6")
    assert alert["requests"] >= 20


async def test_a_client_that_looks_for_missing_pages_raises_an_alert(tmp_path: Path) -> None:
    lines = [request(second, "10.7.7.7", 404, f"/secret/{second}") for second in range(30)]
    (alert,) = await alerts(lines, tmp_path)
    assert (alert["kind"], alert["client"]) == ("scan", "10.7.7.7")


async def test_a_second_attack_after_a_quiet_time_raises_a_second_alert(tmp_path: Path) -> None:
    lines = [request(begin + second, "10.6.6.6", 403) for begin in (0, 600) for second in range(30)]
    assert [alert["kind"] for alert in await alerts(lines, tmp_path)] == ["brute_force", "brute_force"]


async def test_refusals_below_the_limit_or_spread_over_clients_raise_none(tmp_path: Path) -> None:
    few = [request(second, "10.8.8.8", 404) for second in range(19)]
    many_clients = [request(second, f"10.9.0.{second}", 404) for second in range(60)]
    assert await alerts(sorted(few + many_clients, key=lambda line: line.split("[")[1]), tmp_path) == []


async def test_traffic_far_above_the_moving_average_raises_one_alert_a_spike(tmp_path: Path) -> None:
    lines = [
        request(second, f"10.0.{second % 7}.{number % 50}", 200)
        for second in range(120)
        for number in range(400 if 60 <= second < 70 else 80)
    ]
    (alert,) = await alerts(lines, tmp_path)
    assert (alert["kind"], alert["client"], alert["requests"], alert["usual"]) == ("spike", None, 800, 160)


async def test_simulated_attacks_raise_their_alerts_and_simulated_traffic_without_raises_none(tmp_path: Path) -> None:
    def half_a_minute(attacks: bool) -> list[str]:
        traffic = Traffic(seed=11, rate=500, start=START, attacks=attacks).lines()
        return [line for offset, line in islice(traffic, 40_000) if offset < 30_000]

    attacked = await alerts(half_a_minute(attacks=True), tmp_path / "attacked")
    assert sorted(alert["kind"] for alert in attacked) == ["brute_force", "scan", "spike"]
    assert await alerts(half_a_minute(attacks=False), tmp_path / "quiet") == []
