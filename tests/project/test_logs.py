"""What a program that calls `configure_logging` writes, and where."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import SettingsError
from streamproc.eventtime.clock import SystemClock
from streamproc.logs import configure_logging

COMMIT = 'logging.getLogger("streamproc.engine").info("batch %d committed", 7, extra={"records": 500})\n'
FAILURE = """
try:
    {}["key"]
except KeyError as error:
    logging.getLogger("app").exception("lookup failed", extra={"key": "key"})
"""


def run(logging_calls: str, arguments: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program that sets up logging and logs, with its outputs going to pipes."""
    program = f"import logging\nfrom streamproc.logs import configure_logging\nconfigure_logging({arguments})\n"
    return subprocess.run(
        [sys.executable, "-c", program + logging_calls], capture_output=True, text=True, check=True, timeout=60
    )


def entries(logging_calls: str, arguments: str = "") -> list[dict[str, Any]]:
    """Return what the program logs as JSON."""
    return [json.loads(line) for line in run(logging_calls, arguments).stderr.splitlines()]


def run_on_terminal(logging_calls: str) -> str:
    """Return what the program writes when its standard error is a terminal."""
    ours, theirs = pty.openpty()
    program = f"import logging\nfrom streamproc.logs import configure_logging\nconfigure_logging()\n{logging_calls}"
    subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        return terminal.read(65536).decode()


def test_without_a_terminal_each_entry_is_a_json_object_on_standard_error() -> None:
    before = SystemClock().now()
    result = run(COMMIT)
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    entry = json.loads(line)
    time = entry.pop("timestamp")
    assert entry == {"level": "info", "logger": "streamproc.engine", "event": "batch 7 committed", "records": 500}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert before <= datetime.fromisoformat(time).timestamp() * 1000 <= SystemClock().now()


def test_on_a_terminal_an_entry_is_a_coloured_line_with_its_fields() -> None:
    text = run_on_terminal(COMMIT)
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[\d*m", "", text)
    assert re.fullmatch(r"\S+Z \[info +\] batch 7 committed +\[streamproc.engine\] records=500\r\n", plain)


def test_the_console_format_in_a_file_has_no_colours() -> None:
    text = run(COMMIT, '"console"').stderr
    assert "batch 7 committed" in text
    assert "records=500" in text
    assert "\x1b" not in text


def test_an_exception_is_part_of_its_entry() -> None:
    [entry] = entries(FAILURE)
    assert entry["event"] == "lookup failed"
    assert entry["exception"].startswith("Traceback (most recent call last):")
    assert entry["exception"].endswith("KeyError: 'key'")


def test_the_console_shows_a_traceback_without_the_values_of_local_variables() -> None:
    text = run("password = 'hunter' + str(2)" + FAILURE, '"console"').stderr
    assert "KeyError: 'key'" in text
    assert "hunter2" not in text


def test_no_extra_field_replaces_what_every_entry_has() -> None:
    [entry] = entries(
        'logging.getLogger("app").error("disk full", extra={"level": "fine", "event": "all well", "logger": "x"})'
    )
    assert (entry["level"], entry["event"], entry["logger"]) == ("error", "disk full", "app")


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ('{"a": [1, 2.5, None]}', {"a": [1, 2.5, None]}),
        ("{1: 2}", {"1": 2}),
        ('__import__("pathlib").Path("state/x")', "state/x"),
        ("ValueError('no')", "no"),
        ("2**70", str(2**70)),
        (r"'\ud800'", r"'\ud800'"),
    ],
)
def test_no_field_is_too_odd_to_be_logged(field: str, shown: object) -> None:
    [entry] = entries(f'logging.getLogger("app").info("odd", extra={{"field": {field}, "records": 5}})')
    assert entry["field"] == shown
    assert (entry["event"], entry["records"]) == ("odd", 5)


def test_only_entries_of_the_level_and_above_are_written() -> None:
    calls = 'for level in (10, 20, 30, 40):\n    logging.getLogger("app").log(level, "hello")'
    assert [entry["level"] for entry in entries(calls)] == ["info", "warning", "error"]
    assert [entry["level"] for entry in entries(calls, 'level="error"')] == ["error"]


def test_setting_up_again_replaces_the_first_set_up_and_leaves_other_handlers(tmp_path: Path) -> None:
    own = tmp_path / "own.log"
    again = f'logging.getLogger().addHandler(logging.FileHandler({str(own)!r}))\nconfigure_logging("json", "DEBUG")\n'
    result = run(again + COMMIT, '"console"')
    assert [json.loads(line)["records"] for line in result.stderr.splitlines()] == [500]
    assert own.read_text() == "batch 7 committed\n"


def test_an_unknown_level_or_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"log level 'loud' is unknown: use one of .*INFO"):
        configure_logging(level="loud")
    with pytest.raises(SettingsError, match=r"log format 'xml' is unknown: use one of console, json, auto"):
        configure_logging("xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
