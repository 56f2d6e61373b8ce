"""The rules of CONTRIBUTING.md that no linter checks."""

from __future__ import annotations

import ast
from pathlib import Path

LONGEST_FILE = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "impl", "misc"}


def test_no_file_is_longer_than_can_be_read_in_one_go(root: Path, python_files: list[Path]) -> None:
    lengths = {str(path): len((root / path).read_text().splitlines()) for path in python_files}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_a_file_is_named_after_its_idea(python_files: list[Path]) -> None:
    vague = [str(path) for path in python_files if any(VAGUE_NAMES & set(part.split("_")) for part in words(path))]
    assert vague == []


def test_an_init_re_exports_and_nothing_else(root: Path, python_files: list[Path]) -> None:
    inits = [path for path in python_files if path.name == "__init__.py"]
    assert inits
    other = {
        f"{path}:{statement.lineno}: {ast.unparse(statement).splitlines()[0]}"
        for path in inits
        for statement in ast.parse((root / path).read_text()).body
        if not (is_docstring(statement) or is_import(statement) or is_all(statement))
    }
    assert other == set()


def test_the_linked_folders_are_imported_by_their_installed_names(root: Path, python_files: list[Path]) -> None:
    absolute = [
        f"{path}: {ast.unparse(node)}"
        for path in python_files
        for node in ast.walk(ast.parse((root / path).read_text()))
        if any(name.split(".")[0] in {"connectors", "state"} for name in absolute_imports(node))
    ]
    assert absolute == []


def absolute_imports(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports by their full names."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            return [module]
        case _:
            return []


def words(path: Path) -> list[str]:
    """Return the names in a path: its folders and the file, without the suffix."""
    return [*path.parent.parts, path.stem]


def is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def is_all(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == ["__all__"]
