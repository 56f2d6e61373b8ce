"""The command itself: its help, its version, and ``doctor``."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.cli.command import Command, environment


def test_the_version_is_that_of_the_package(streamproc: Command) -> None:
    done = streamproc("--version")
    assert (done.returncode, done.stdout) == (0, f"streamproc {version('streamproc')}\n")


def test_without_arguments_it_lists_its_commands(streamproc: Command) -> None:
    done = streamproc()
    shown = done.stdout + done.stderr
    commands = [line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line.strip()]
    assert commands == ["run", "plan", "new", "doctor", "state", "offsets"]


def test_a_mistyped_command_is_wrong_use(streamproc: Command) -> None:
    done = streamproc("plam", "orders:app")
    assert done.returncode == 2
    assert "No such command 'plam'" in done.stderr


def test_the_installed_command_is_the_module(folder: Path) -> None:
    installed = Path(sys.executable).with_name("streamproc")
    done = subprocess.run(
        [installed, "plan", "orders:app"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stage 1\n")


def test_output_is_plain_text_where_there_is_no_terminal(streamproc: Command) -> None:
    for arguments in (["--help"], ["plan"], ["plan", "orders:nope"], ["state", "--help"]):
        done = streamproc(*arguments)
        assert (done.stdout + done.stderr).isascii()
        assert "\x1b" not in done.stdout + done.stderr


def test_the_doctor_finds_a_machine_that_can_run_apps(streamproc: Command, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = streamproc("doctor")
    assert done.returncode == 0, done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["ok", name] for name in ("python", "streamproc", "uvloop", "state", "disk")
    ]
    assert sorted(folder.rglob("*")) == before


def test_the_doctor_finds_that_state_cannot_be_kept(streamproc: Command) -> None:
    done = streamproc("doctor", "--state-dir", "/proc/state")
    assert done.returncode == 1
    assert "problem  state       no state can be kept in /proc: " in done.stdout
