"""The Dockerfile, as far as it can be held to the truth without a container engine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

Instructions = Sequence[tuple[str, str]]
"""Each instruction with what follows it, on one line."""


@pytest.fixture(scope="module")
def instructions(root: Path) -> Instructions:
    """Return the instructions of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (root / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(words[0], words[1]) for words in (line.split(maxsplit=1) for line in lines if line)]


@pytest.fixture
def copied(root: Path, instructions: Instructions, tmp_path: Path) -> Path:
    """Return a folder with what is copied from the checkout, at the same places."""
    folder = tmp_path / "copied"
    for source in sources(instructions):
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        if (root / source).is_dir():
            shutil.copytree(root / source, folder / source, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(root / source, folder / source)
    return folder


def all_of(instructions: Instructions, name: str) -> list[str]:
    return [what for instruction, what in instructions if instruction == name]


def sources(instructions: Instructions) -> list[str]:
    """Return what is copied from the checkout."""
    copies = [copy.split() for copy in all_of(instructions, "COPY") if not copy.startswith("--from")]
    return [source for *froms, _ in copies for source in froms]


def test_it_has_two_stages_and_the_last_one_is_no_builder(instructions: Instructions) -> None:
    builder, last = all_of(instructions, "FROM")
    assert builder == f"{last} AS build"  # The same Python: the second stage runs what the first has installed.
    assert "--from=build /venv /venv" in all_of(instructions, "COPY")


def test_the_build_is_sent_what_it_copies_and_nothing_else(root: Path, instructions: Instructions) -> None:
    lines = [line for line in (root / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == {
        source.split("/")[0] for source in sources(instructions)
    }


def test_what_is_copied_can_be_installed(instructions: Instructions, copied: Path) -> None:
    [install] = [run for run in all_of(instructions, "RUN") if " pip " in run]
    command = shlex.split(install)
    what = command[command.index("install") + 1 :]
    # A wheel alone, without what would come from the network: the dependencies, and what builds it.
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", copied, *what],
        cwd=copied,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [wheel] = copied.glob("streamproc-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"streamproc/connectors/kafka/source.py", "streamproc/state/rocksdb.py"} <= set(names)


@pytest.fixture
def services(root: Path) -> dict[str, dict[str, Any]]:
    """Return the services of the compose file."""
    compose: Any = YAML(typ="safe").load(root / "docker-compose.yml")  # pyright: ignore[reportUnknownMemberType]
    services: dict[str, dict[str, Any]] = compose["services"]
    return services


def test_every_program_that_is_started_is_copied(
    services: dict[str, dict[str, Any]], instructions: Instructions, copied: Path
) -> None:
    [entrypoint] = all_of(instructions, "ENTRYPOINT")
    programs = [json.loads(entrypoint), *(each["entrypoint"] for each in services.values() if "entrypoint" in each)]
    assert len(programs) == 4
    for python, *arguments in programs:
        assert python == "python"
        command = [sys.executable, *arguments, "--help"]
        done = subprocess.run(command, cwd=copied, capture_output=True, text=True, check=False)
        assert done.stdout.startswith(f"usage: python {' '.join(arguments)} "), done.stderr


def test_it_runs_as_an_ordinary_user_who_owns_the_state(instructions: Instructions) -> None:
    [user], [volume], [environment] = (all_of(instructions, name) for name in ("USER", "VOLUME", "ENV"))
    uid, gid = user.split(":")
    assert int(uid) > 0 < int(gid)
    [make] = [run for run in all_of(instructions, "RUN") if "useradd" in run]
    assert f"groupadd --gid {gid} streamproc" in make
    assert f"useradd --uid {uid} --gid streamproc " in make
    assert f"install --directory --owner=streamproc --group=streamproc {volume}" in make
    assert {f"STREAMPROC_STATE_DIR={volume}", "PYTHONUNBUFFERED=1"} <= set(environment.split())


def test_the_state_is_where_the_compose_file_mounts_it(
    services: dict[str, dict[str, Any]], instructions: Instructions
) -> None:
    [volume] = all_of(instructions, "VOLUME")
    assert services["ad-counts"]["volumes"] == [f"ad-counts-state:{volume}"]
