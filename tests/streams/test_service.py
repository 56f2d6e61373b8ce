"""An app as a process: how it stops, how it fails, and who may share its state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from streamproc.state import RocksStore


@contextmanager
def service(directory: Path, mode: str = "", *, until: str) -> Generator[subprocess.Popen[str]]:
    """Start the service, and wait until it has printed a line that begins with some text."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.streams.service", str(directory), mode],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            if until:
                assert any(line.startswith(until) for line in process.stdout), process.communicate()
            yield process
        finally:
            process.kill()


def last_batch(output: str) -> tuple[int, int]:
    """Return the number of the last batch that was printed, and how many records had been counted then."""
    _, number, total = output.split("\n")[-2].split()
    return int(number), int(total)


def test_sigterm_ends_it_gracefully_and_the_next_start_goes_on_behind_it(tmp_path: Path) -> None:
    with service(tmp_path, until="batch 3 ") as process:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        number, total = last_batch(output) if output else (3, 0)
        assert '"event":"stopping"' in errors
    with service(tmp_path, until=f"batch {number + 1} ") as process:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        later, later_total = last_batch(output) if output else (number + 1, total + 1)
        assert later > number
        assert later_total > total
        assert "recovered" in errors


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with service(tmp_path, "wait", until="waiting") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert any("stopping" in line for line in process.stderr)
        assert process.poll() is None, "it ended while a batch was under way"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
        assert "ended by a second signal" in process.stderr.read()


def test_a_failure_is_logged_and_the_exit_code_is_1(tmp_path: Path) -> None:
    with service(tmp_path, "fail", until="") as process:
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "operator 'check' failed on a record: ValueError: seven" in errors
        assert "position: source-1 [0] at 7" in errors
        assert "service.py" in errors


def test_a_second_process_on_the_same_state_is_refused_at_once(tmp_path: Path) -> None:
    with service(tmp_path, until="batch 1 ") as first:
        with service(tmp_path, until="") as second:
            output, errors = second.communicate(timeout=20)
            assert second.returncode == 1
            assert str(tmp_path / "service" / "0") in errors
            assert f"is open in process {first.pid}" in errors
            assert output == ""
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=20) == 0


def test_kill_leaves_state_that_opens_and_nothing_counted_twice(tmp_path: Path) -> None:
    with service(tmp_path, until="batch 5 ") as process:
        process.kill()
        process.communicate()
    RocksStore.open(tmp_path / "service" / "0", cache_bytes=0).close()
    with service(tmp_path, until="batch 6 ") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
