"""``streamproc plan``: the plan of an app, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import Command


def test_a_plan_is_shown_as_text(streamproc: Command) -> None:
    done = streamproc("plan", "orders:app")
    assert done.returncode == 0
    assert done.stdout.startswith("stage 1\n  orders ")
    assert "stage 2 (exchange by key)\n  totals " in done.stdout
    assert done.stderr == ""


def test_a_plan_is_shown_as_a_mermaid_flowchart(streamproc: Command) -> None:
    lines = streamproc("plan", "orders:app", "--mermaid").stdout.splitlines()
    assert lines[0] == "flowchart LR"
    assert '    n0["orders<br/>GeneratorSource"]' in lines


def test_nothing_is_opened_or_written(streamproc: Command, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    assert streamproc("plan", "orders:app").returncode == 0
    assert sorted(folder.rglob("*")) == before


def test_a_pipeline_without_an_output_has_no_plan(streamproc: Command) -> None:
    done = streamproc("plan", "orders:no_output")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: the pipeline has no output: ")
