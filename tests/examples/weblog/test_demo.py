"""The demo: simulated traffic over TCP, with attacks in it."""

from __future__ import annotations

from pathlib import Path

from tests.examples.running import rows
from tests.examples.weblog.program import started, summary_of


async def test_the_demo_ends_by_itself_with_a_right_summary(tmp_path: Path) -> None:
    async with started("--demo", "--lines", 2000, "--out", tmp_path / "out") as process:
        summary = await summary_of(process)

    assert summary["lines"] == summary["parsed"] == 2000
    assert summary["rejected"] == 0
    assert sum(summary["by_status"].values()) == sum(summary["by_client"].values()) == 2000
    assert summary["bytes"] > 0
    assert summary["seconds"] > 0
    assert {window["requests"] for window in rows(tmp_path / "out" / "windows")} >= {2000}


async def test_two_inputs_at_once_are_refused(tmp_path: Path) -> None:
    async with started("--demo", "--stdin", "--out", tmp_path / "out") as process:
        _, stderr = await process.communicate()

    assert process.returncode == 2
    assert "give one of" in stderr.decode()
