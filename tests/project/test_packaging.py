"""What a user gets: builds the distributions from what git tracks, and installs them where nothing else is."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

FOLDERS = ("connectors", "state")


@pytest.fixture(scope="module")
def source(root: Path, files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout without anything that git ignores, links as links."""
    copy = tmp_path_factory.mktemp("source")
    for path in files:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, copy / path, follow_symlinks=False)
    return copy


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an sdist and the wheel that was built from that sdist."""
    return build(source, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """Return the wheel."""
    [path] = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with the wheel in it and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", f"{folder}/bin/python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder


def build(source: Path, destination: Path, *options: str) -> Path:
    """Build distributions with the packages of this environment: no network needed."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(destination), *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return destination


def site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))


def installed_name(path: Path) -> str:
    """Return where a file of the checkout belongs in an installation."""
    return f"streamproc/{path}" if path.parts[0] in FOLDERS else str(path)


def test_an_installation_brings_one_name_into_site_packages(environment: Path) -> None:
    names = {path.name for path in site_packages(environment).iterdir()}
    [metadata] = [name for name in names if name.endswith(".dist-info")]
    assert metadata.startswith("streamproc-")
    assert names - {metadata} == {"streamproc"}


def test_an_installation_has_every_file_in_its_place_and_no_other(environment: Path, files: list[Path]) -> None:
    package = site_packages(environment) / "streamproc"
    installed = {str(path.relative_to(package.parent)) for path in package.rglob("*") if path.is_file()}
    tracked = {path for path in files if path.parts[0] in {"streamproc", *FOLDERS} and path.name not in FOLDERS}
    assert {name for name in installed if not name.endswith(".pyc")} == set(map(installed_name, tracked))
    assert {"streamproc/py.typed", "streamproc/connectors/__init__.py", "streamproc/state/store.py"} <= installed


def test_the_wheel_lists_no_file_twice(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(names) == sorted(set(names))


def test_the_wheel_from_the_checkout_is_the_wheel_from_the_sdist(source: Path, wheel: Path, tmp_path: Path) -> None:
    [direct] = build(source, tmp_path, "--wheel").glob("*.whl")
    assert contents(direct) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        # RECORD lists the others in the order in which the file system gave them.
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_the_sdist_unpacks_below_one_folder_without_links(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert {Path(member.name).parts[0] for member in members} == {sdist.name.removesuffix(".tar.gz")}
    assert [member.name for member in members if member.issym() or member.islnk()] == []


def test_the_linked_folders_are_imported_from_the_installation(environment: Path) -> None:
    # The dependencies come from this environment by path; its own link to the checkout is not followed from there.
    (site_packages(environment) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    program = "import streamproc.connectors, streamproc.state.store as store; print(store.__file__)"
    python = environment / "bin/python"
    found = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert Path(found) == site_packages(environment) / "streamproc/state/store.py"


def test_the_command_is_installed(environment: Path) -> None:
    assert (environment / "bin/streamproc").is_file()


def test_every_package_that_the_code_imports_is_a_declared_dependency(root: Path, python_files: list[Path]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = [needs for extra, needs in project["optional-dependencies"].items() if extra not in {"test", "dev"}]
    declared = {distribution(need) for needs in [project["dependencies"], *extras] for need in needs}
    assert "msgspec" in declared
    providers = packages_distributions()
    undeclared = {
        f"{path}: {name}"
        for path in python_files
        if path.parts[0] in {"streamproc", *FOLDERS}
        for name in imported(root / path)
        if name not in sys.stdlib_module_names | {"streamproc"}
        and not declared & {distribution(provider) for provider in providers.get(name, [])}
    }
    assert undeclared == set()


def distribution(requirement: str) -> str:
    """Return the normal form of the name in a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def imported(file: Path) -> Iterator[str]:
    """Yield the first part of each absolute import."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
