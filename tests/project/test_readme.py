"""The README's example does what the README says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from streamproc import App
from streamproc.testing import Driver


async def test_the_example_counts_each_click_once_whatever_happens(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    clicks = [{"user": "ann", "page": "/", "at": at} for at in (1_000, 11_000, 12_000, 300_000)]
    (tmp_path / "clicks.ndjson").write_text("".join(json.dumps(click) + "\n" for click in clicks))
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(code, namespace)
    app = namespace["app"]
    assert isinstance(app, App)

    driver = Driver(app)
    driver.crash_at("before_publish")
    await driver.start()
    await driver.tick(4)
    assert driver.crashed
    await driver.restart()
    await driver.tick(4)
    await driver.stop()

    parts = sorted((tmp_path / "views").glob("part-*"))
    rows = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert sum(row["value"]["value"] for row in rows) == 3 * 6
    assert rows[0] == {"key": "/", "value": {"start": -50_000, "end": 10_000, "value": 1}}
    assert len(rows) == 7
