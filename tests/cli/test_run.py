"""``streamproc run``: from the options to results and exit codes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Command, started


def totals(folder: Path) -> dict[str, Any]:
    """Return the last total of each customer in the output files."""
    lines = [line for part in sorted((folder / "out").glob("part-*")) for line in part.read_text().splitlines()]
    return {row["key"]: row["value"] for row in map(json.loads, lines)}


def test_an_app_runs_to_its_end_and_leaves_its_results(streamproc: Command, folder: Path) -> None:
    done = streamproc("run", "orders:app", "--trigger", "once")
    assert done.returncode == 0, done.stderr
    assert totals(folder) == {name: {"orders": 25, "spent": "37.50"} for name in ("ann", "bob", "42", "élise")}
    assert (folder / ".streamproc/orders/0").is_dir()


def test_a_second_run_goes_on_where_the_first_ended(streamproc: Command, folder: Path) -> None:
    for _ in range(2):
        assert streamproc("run", "orders:app", "--trigger", "once").returncode == 0
    assert {total["orders"] for total in totals(folder).values()} == {25}


def test_a_function_that_returns_an_app_will_do(streamproc: Command, folder: Path) -> None:
    assert streamproc("run", "orders:make_app", "--trigger", "once").returncode == 0
    assert totals(folder)["ann"]["orders"] == 25


def test_options_override_the_environment_and_the_environment_the_file(streamproc: Command, folder: Path) -> None:
    (folder / "streamproc.toml").write_text('state_dir = "from-file"\nmax_records = 1\ntrigger = "1h"\n')
    options = ["--trigger", "once", "--max-records", "50"]
    done = streamproc("run", "orders:app", *options, STREAMPROC_MAX_RECORDS="5", STREAMPROC_STATE_DIR="from-env")
    assert done.returncode == 0, done.stderr
    assert not (folder / "from-file").exists()
    assert "last batch  2 of" in streamproc("state", "ls", "from-env").stdout


def test_the_settings_file_may_have_another_name(streamproc: Command, folder: Path) -> None:
    (folder / "production.toml").write_text('state_dir = "from-file"\ntrigger = "once"\n')
    assert streamproc("run", "orders:app", "--config", "production.toml").returncode == 0
    assert (folder / "from-file/orders/0").is_dir()
    missing = streamproc("run", "orders:app", "--config", "prod.toml")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == "Error: the settings file prod.toml can't be read: No such file or directory\n"


def test_every_setting_has_an_option(streamproc: Command) -> None:
    from streamproc import Settings  # noqa: PLC0415 - the fixture has the name here

    shown = streamproc("run", "--help", COLUMNS="200").stdout
    missing = [name for name in Settings.__struct_fields__ if f"--{name.replace('_', '-')}" not in shown]
    assert missing == []


def test_options_are_known_while_the_pipeline_is_built(streamproc: Command) -> None:
    assert streamproc("run", "orders:make_windowed", "--trigger", "250ms", "--max-records", "0").returncode == 2
    done = streamproc("run", "orders:make_windowed", "--trigger", "300ms")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "300ms" in done.stderr


def test_the_log_has_the_format_that_was_asked_for(streamproc: Command) -> None:
    streamproc("run", "orders:app", "--trigger", "once")
    machine = streamproc("run", "orders:app", "--trigger", "once", "--log-format", "json").stderr
    assert [json.loads(line)["event"] for line in machine.splitlines()] == ["recovered"]
    people = streamproc("run", "orders:app", "--trigger", "once", "--log-format", "console").stderr
    assert people.count("recovered") == 1
    assert "{" not in people
    assert streamproc("run", "orders:app", "--trigger", "once", "--log-level", "error").stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_behind_the_batch_under_way(streamproc: Command, folder: Path, number: int) -> None:
    with started(folder, "run", "orders:endless", "--trigger", "100ms", until="((") as running:
        locked = streamproc("state", "ls", ".streamproc")
        assert locked.returncode == 1
        assert locked.stderr.startswith("Error: the state directory ")
        assert str(running.pid) in locked.stderr
        running.send_signal(number)
        _, log = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "stopping" in log
    stored = json.loads(streamproc("state", "get", ".streamproc", "totals", "ann").stdout)
    assert totals(folder)["ann"] == stored


def test_an_error_of_the_running_app_is_logged_and_the_exit_code_is_1(streamproc: Command) -> None:
    done = streamproc("run", "orders:no_output", "--log-format", "json")
    assert done.returncode == 1
    [entry] = map(json.loads, done.stderr.splitlines())
    assert entry["level"] == "critical"
    assert "the pipeline has no output" in entry["event"]


def test_a_wrong_option_is_refused_with_what_is_expected(streamproc: Command) -> None:
    for option, value, expected in [
        ("--trigger", "soon", '"asap", "once" or an interval'),
        ("--log-format", "xml", "'auto', 'console', 'json'"),
        ("--max-records", "0", "Invalid value for '--max-records'"),
    ]:
        done = streamproc("run", "orders:app", option, value)
        assert done.returncode == 2
        assert expected in done.stderr


def test_settings_that_do_not_fit_together_are_an_error(streamproc: Command) -> None:
    done = streamproc("run", "orders:app", "--shard", "3", "--shards", "2")
    assert done.returncode == 1
    assert done.stderr == "Error: shard is 3 of 2: expected 0 to 1\n"
