"""A job that dies at any step of its loop has the totals of one that was left alone."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from examples.weblog.pipeline import build
from examples.weblog.totals import Totals, summarize
from examples.weblog.traffic import Traffic
from streamproc import App, Interval
from streamproc.connectors.memory import MemorySource
from streamproc.testing import Driver
from tests.examples.running import rows

LINES = [line for _, line in islice(Traffic(seed=2, rate=300, start=1_700_000_000_000).lines(), 6_000)]


@pytest.mark.parametrize("step", ["after_take", "after_process", "before_commit", "after_commit", "after_publish"])
async def test_totals_and_files_after_a_crash(step: str, tmp_path: Path) -> None:
    source = MemorySource[str]([LINES[start : start + 1_000] for start in range(0, 6_000, 1_000)])
    app = App("weblog", trigger=Interval("500ms"))
    build(app.source(source), tmp_path, log_time=True, echo=True)
    driver = Driver(app)
    await driver.start()
    driver.crash_at(step, 3)
    await driver.tick(8)
    assert not driver.running
    await driver.restart()
    await driver.tick(8)
    clients: dict[str, Totals] = driver.state("client-totals")
    counters: dict[str, int] = driver.state("counters")
    await driver.stop()

    found = summarize(counters["lines"], clients, counters.get("alerts", 0), 0.0)
    assert found.lines == found.parsed == 6_000
    assert found.by_client == Counter(line.split()[0] for line in LINES)
    assert sorted(row["client"] for row in rows(tmp_path / "lines")) == sorted(line.split()[0] for line in LINES)
