"""``streamproc new``: makes a small project that runs and has a test."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["new"]

_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
    "{{module}}.py": "app.py.txt",
    "tests/test_app.py": "test_app.py.txt",
}
"""The files of a project and their templates, which end in .txt so that no tool takes them for code of streamproc."""


def new(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The project's name: letters, digits, '-' and '_'.", show_default=False),
    ],
    *,
    directory: Annotated[Path, typer.Option(help="Where to make the project's folder.")] = Path(),
) -> None:
    """Make a small project in a new folder: an app that runs without any server, and its test."""
    module = _module_name(name)
    project = directory / name
    if project.exists() and (not project.is_dir() or any(project.iterdir())):
        raise typer.BadParameter(f"{project} exists already and is not an empty folder", param_hint="NAME")
    words = {"name": name, "module": module, "version": version("streamproc")}
    for path, template in _FILES.items():
        file = project / _filled(path, words)
        text = files("streamproc.cli").joinpath("templates", template).read_text(encoding="utf-8")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(text, words), encoding="utf-8")
        except OSError as error:
            typer.echo(f"Error: {file} can't be written: {error.strerror}", err=True)
            raise typer.Exit(1) from None
    typer.echo(f"Made {project}. Next:\n  cd {project}\n  streamproc run {module}:app\n  pytest")


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{{{word}}}}}", value)
    return text


def _module_name(name: str) -> str:
    """Return the name of the project's module.

    Raises:
        typer.BadParameter: The name makes none, or one that would hide another module.
    """
    module = name.replace("-", "_").lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]|[a-z]", module):
        problem = "expected a letter first, then letters, digits, '-' and '_', and one of the first two at the end"
    elif keyword.iskeyword(module):
        problem = "it is a word of Python"
    elif module in sys.stdlib_module_names or module in {"streamproc", "tests", "pytest"}:
        problem = f"its module would hide the module {module} that exists already"
    else:
        return module
    raise typer.BadParameter(f"{name!r} can't be the name of a project: {problem}", param_hint="NAME")
