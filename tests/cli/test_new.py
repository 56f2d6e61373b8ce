"""``streamproc new``: the project it makes runs, passes its own test, and keeps its state."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.command import Command, command_in, environment, started


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a new project."""
    done = command_in(tmp_path)("new", "Click-count")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "Made Click-count. Next:"
    return tmp_path / "Click-count"


def test_a_project_has_an_app_a_test_and_what_belongs_around_them(project: Path) -> None:
    files = sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())
    assert files == [".gitignore", "README.md", "click_count.py", "pyproject.toml", "tests/test_app.py"]
    assert [path for path in files if "{{" in (project / path).read_text()] == []
    metadata = tomllib.loads((project / "pyproject.toml").read_text())
    assert metadata["project"]["name"] == "Click-count"
    assert metadata["tool"]["setuptools"]["py-modules"] == ["click_count"]


def test_a_project_passes_its_own_test(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-W", "error"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_project_runs_as_its_readme_says_and_goes_on_with_its_counts(project: Path) -> None:
    streamproc = command_in(project)
    counts = [0]
    for _ in range(2):
        with started(project, "run", "click_count:app", until="('/") as running:
            running.send_signal(signal.SIGINT)
            _, log = running.communicate(timeout=30)
        assert running.returncode == 0, log
        export = streamproc("state", "export", ".streamproc").stdout
        counts.append(sum(json.loads(line)["value"] for line in export.splitlines()))
    assert counts == sorted(set(counts))
    assert "clicks-per-page" in streamproc("plan", "click_count:app").stdout


@pytest.mark.slow
def test_a_project_is_clean_for_a_strict_type_checker(project: Path) -> None:
    mypy = pytest.importorskip("mypy.api")
    report, errors, code = mypy.run(
        ["--strict", "--cache-dir", str(project / ".cache"), str(project / "click_count.py")]
    )
    assert (code, errors) == (0, ""), report


def test_a_folder_that_holds_something_is_left_alone(streamproc: Command, folder: Path) -> None:
    (folder / "shop").mkdir()
    (folder / "shop/notes.txt").write_text("mine")
    done = streamproc("new", "shop")
    assert done.returncode == 2
    assert "shop exists already and is not an empty folder" in done.stderr
    assert [path.name for path in (folder / "shop").iterdir()] == ["notes.txt"]


def test_a_project_can_be_made_elsewhere(streamproc: Command, folder: Path) -> None:
    assert streamproc("new", "shop", "--directory", "work/apps").returncode == 0
    assert (folder / "work/apps/shop/shop.py").is_file()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("9lives", "expected a letter first"),
        ("a/b", "expected a letter first"),
        ("shop-", "expected a letter first"),
        ("class", "it is a word of Python"),
        ("json", "its module would hide the module json that exists already"),
        ("streamproc", "its module would hide the module streamproc that exists already"),
    ],
)
def test_a_name_that_makes_no_module_is_refused(streamproc: Command, folder: Path, name: str, problem: str) -> None:
    before = sorted(folder.rglob("*"))
    done = streamproc("new", name)
    assert done.returncode == 2
    assert f"'{name}' can't be the name of a project: {problem}" in done.stderr
    assert sorted(folder.rglob("*")) == before
