"""A log through the job: its visits are those that the standard library finds."""

from __future__ import annotations

import signal
from collections import Counter
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from examples.client_sessions.made_up_log import made_up_log
from examples.client_sessions.pipeline import Visit, build
from examples.weblog.log_line import parse
from streamproc import App, BatchInfo, Interval
from streamproc.connectors.memory import MemorySource
from streamproc.testing import Driver
from tests.examples.client_sessions.sessions import visits
from tests.examples.running import line_with, output_of, rows, run, started
from tests.examples.weblog.logs import log_file


def in_order(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=itemgetter("client", "begin"))


def request(clock: str, client: str, path: str = "/", size: int = 10) -> str:
    return f'{client} - - [02/Mar/2026:{clock} +0000] "GET {path} HTTP/1.1" 200 {size} "-" "-"'


def show(_visits: list[Visit], _batch: BatchInfo) -> None:
    pass


async def test_a_log_becomes_the_visits_that_are_in_it(tmp_path: Path) -> None:
    log = log_file(tmp_path)
    printed = await run("client_sessions", log, "--out", tmp_path / "out")

    expected = visits(log.read_text().splitlines())
    assert in_order(rows(tmp_path / "out" / "visits")) == expected
    assert len(printed) == len(expected) + 1
    assert f"{len(expected):,} visits; 0 requests were late" in printed[-1]


async def test_of_the_made_up_log_one_server_is_late_and_nothing_is_lost(tmp_path: Path) -> None:
    printed = await run("client_sessions", "--out", tmp_path)

    late = rows(tmp_path / "late")
    assert late
    assert f"{len(late)} requests were late" in printed[-1]
    missing = Counter((row["client"], row["time"], row["path"], row["size"]) for row in late)
    in_time: list[str] = []
    for line in made_up_log():
        found = parse(line)
        if missing[found.client, found.time, found.path, found.size]:
            missing[found.client, found.time, found.path, found.size] -= 1
            assert "02/Mar/2026:12:" in line
        else:
            in_time.append(line)
    assert missing.total() == 0
    assert in_order(rows(tmp_path / "visits")) == visits(in_time)


async def test_started_again_at_its_end_it_has_nothing_to_add(tmp_path: Path) -> None:
    await run("client_sessions", "--out", tmp_path)
    before = rows(tmp_path / "visits")
    assert await run("client_sessions", "--out", tmp_path) == [
        f"0 visits; 0 requests were late, 0 lines rejected: see {tmp_path}"
    ]
    assert rows(tmp_path / "visits") == before


async def test_a_log_is_followed_through_a_kill(tmp_path: Path) -> None:
    log, out = tmp_path / "access.log", tmp_path / "out"
    lines = [
        request("10:00:00", "10.0.0.1", "/a?x=1", 5),
        request("10:29:59", "10.0.0.1", "/a?x=2", 6),
        request("10:45:00", "10.0.0.2"),
        request("10:59:59", "10.0.0.1", "/next"),
        request("11:31:00", "10.0.0.3"),
        request("11:32:00", "10.0.0.2", "/b"),
        request("13:00:00", "10.0.0.4"),
        request("15:00:00", "10.0.0.5"),
    ]
    log.write_text("".join(f"{line}\n" for line in lines[:5]))
    async with started("client_sessions", log, "--follow", "--out", out) as process:
        assert "2 requests   1 pages" in await line_with(process.stdout, "10.0.0.1")
        assert "/next to /next" in await line_with(process.stdout, "10.0.0.1")
        process.kill()
        await process.wait()

    with log.open("a") as file:
        file.writelines(f"{line}\n" for line in [*lines[5:], "no line of a log"])
    async with started("client_sessions", log, "--follow", "--out", out) as process:
        await line_with(process.stdout, "10.0.0.4")
        process.send_signal(signal.SIGINT)
        printed = await output_of(process)

    assert in_order(rows(out / "visits")) == visits(lines[:-1])
    assert "1 lines rejected" in printed[-1]
    assert [row["value"] for row in rows(out / "rejected")] == ["no line of a log"]


async def test_a_request_is_late_when_its_visit_is_written_and_joins_one_that_is_not(tmp_path: Path) -> None:
    source = MemorySource[str]()
    app = App("visits", trigger=Interval("500ms"))
    build(app.source(source), tmp_path, show)
    async with Driver(app) as driver:
        for batch in (
            [request("10:00:00", "a", "/one"), request("10:50:00", "b", "/one")],
            # The visit of a ended at 10:30; that of b goes on, and what came before is in it.
            [request("10:05:00", "a", "/late"), request("10:25:00", "b", "/zero")],
            [request("12:00:00", "c")],
        ):
            source.send(batch)
            await driver.tick()

    late, (first, second) = rows(tmp_path / "late"), rows(tmp_path / "visits")
    assert [(row["client"], row["path"]) for row in late] == [("a", "/late")]
    assert (first["client"], first["requests"]) == ("a", 1)
    assert (second["client"], second["requests"], second["landing"], second["exit"]) == ("b", 2, "/zero", "/one")


@pytest.mark.parametrize("step", ["after_take", "before_commit", "after_commit", "after_publish"])
async def test_a_crash_changes_nothing_in_the_files(step: str, tmp_path: Path) -> None:
    await find(tmp_path / "undisturbed")
    await find(tmp_path / "crashed", crash_at=step)
    for files in ("visits", "late"):
        undisturbed = rows(tmp_path / "undisturbed" / files)
        assert undisturbed
        assert rows(tmp_path / "crashed" / files) == undisturbed


async def find(out: Path, crash_at: str | None = None) -> None:
    """Find the visits of a made-up log in batches, with or without a crash in the twentieth."""
    lines = made_up_log(seed=3)
    source = MemorySource[str]([lines[start : start + 100] for start in range(0, len(lines), 100)])
    source.close()
    app = App("visits", trigger=Interval("500ms"))
    build(app.source(source), out, show)
    driver = Driver(app)
    if crash_at is not None:
        driver.crash_at(crash_at, 20)
    await driver.start()
    await driver.tick(100)
    assert driver.crashed == (crash_at is not None)
    if driver.crashed:
        await driver.restart()
        await driver.tick(100)
    assert not driver.running
