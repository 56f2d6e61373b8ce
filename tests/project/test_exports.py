"""What streamproc exports is there, and is documented. (Ruff sees that ``__all__`` is sorted and complete.)"""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import streamproc
import streamproc.testing

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(streamproc.__path__, "streamproc.")
    if not module.name.endswith(".__main__")  # importing it would run the program
)


@pytest.fixture(params=["streamproc", *MODULES])
def module(request: pytest.FixtureRequest) -> ModuleType:
    """Return each module of streamproc in turn."""
    return importlib.import_module(request.param)


def test_the_search_finds_the_linked_folders_too() -> None:
    assert {"streamproc.state.store", "streamproc.connectors", "streamproc.eventtime.clock"} <= set(MODULES)


def test_every_exported_name_exists_once(module: ModuleType) -> None:
    exported = exports(module)
    assert [name for name in exported if not hasattr(module, name)] == []
    assert sorted(set(exported)) == sorted(exported)


def test_every_exported_class_and_function_is_documented(module: ModuleType) -> None:
    assert [name for name in exports(module) if lacks_docstring(getattr(module, name))] == []


def test_every_example_in_a_docstring_works(module: ModuleType) -> None:
    # An example may use, without an import, what users of streamproc and writers of tests have at hand.
    names = {name: getattr(source, name) for source in (streamproc.testing, streamproc) for name in exports(source)}
    assert doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS).failed == 0


def exports(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", ()))


def lacks_docstring(value: object) -> bool:
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return False  # a constant or a type alias: its docstring stands below it, where only a reader sees it
    # `dataclass` writes a signature where there is no docstring.
    return not value.__doc__ or value.__doc__.startswith(f"{value.__name__}(")
