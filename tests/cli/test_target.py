"""``MODULE:APP``: which apps are found, and what is said where none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("orders", "'orders' is no app: expected MODULE:APP, such as orders:app"),
        ("orders.py", "'orders.py' is no app: expected MODULE:APP, such as orders:app"),
        (
            "./jobs/orders.py:app",
            "'./jobs/orders.py' is a path: expected the name of a module, such as jobs.orders:app",
        ),
        ("oders:app", "there is no module 'oders', neither in {folder} nor among what is installed"),
        ("orders.deep:app", "there is no module 'orders.deep', neither in {folder} nor among what is installed"),
        (
            "orders:ap",
            "the module 'orders' has no 'ap': did you mean orders:app or orders:endless or orders:no_output?",
        ),
        ("orders:number", "number is an object of type int, expected an App: did you mean orders:app or "),
        ("orders:Order", "Order is the class Order, expected an App: did you mean orders:app or "),
        ("orders:add", "add is a function with arguments: expected an App, or a function without arguments"),
        ("orders:make_async", "make_async() returned an object of type coroutine, expected an App"),
        ("json:dumps", "dumps is a function with arguments: expected an App, or a function without arguments"),
        ("json:decoder", "decoder is an object of type module, expected an App; there is no App in "),
    ],
)
def test_what_is_no_app_is_wrong_use(streamproc: Command, folder: Path, target: str, message: str) -> None:
    done = streamproc("plan", target)
    assert done.returncode == 2
    assert f"Error: Invalid value for MODULE:APP: {message.format(folder=folder)}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_app_may_be_deep_in_packages_and_objects(streamproc: Command, folder: Path) -> None:
    package = folder / "jobs/daily"
    package.mkdir(parents=True)
    (package / "all.py").write_text("import orders\nclass Jobs:\n    first = orders.app\n")
    assert streamproc("plan", "jobs.daily.all:Jobs.first").stdout == streamproc("plan", "orders:app").stdout


def test_a_module_that_imports_what_is_missing_is_told_from_one_that_is_missing(
    streamproc: Command, folder: Path
) -> None:
    (folder / "broken.py").write_text("import no_such_package\n")
    done = streamproc("plan", "broken:app")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Traceback (most recent call last):",
        f'  File "{folder}/broken.py", line 1, in <module>',
        "    import no_such_package",
        "ModuleNotFoundError: No module named 'no_such_package'",
    ]


def test_a_module_that_fails_is_shown_from_its_own_first_line(streamproc: Command, folder: Path) -> None:
    (folder / "broken.py").write_text("def make_app():\n    return 1 / 0\n")
    done = streamproc("plan", "broken:make_app")
    assert done.returncode == 1
    assert done.stderr.splitlines()[1] == f'  File "{folder}/broken.py", line 2, in make_app'
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_syntax_error_is_shown_with_its_place(streamproc: Command, folder: Path) -> None:
    (folder / "broken.py").write_text("app = (\n")
    done = streamproc("plan", "broken:app")
    assert done.returncode == 1
    assert f'File "{folder}/broken.py", line 1' in done.stderr
    assert "importlib" not in done.stderr


def test_a_pipeline_that_is_built_wrongly_is_shown_with_the_line_and_no_traceback(
    streamproc: Command, folder: Path
) -> None:
    (folder / "broken.py").write_text(
        "from streamproc import App\n"
        "from streamproc.connectors.memory import MemorySource\n"
        "app = App('shop')\n"
        "app.source(MemorySource([[1]])).reduce_by_key(max)\n"
    )
    done = streamproc("plan", "broken:app")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {folder}/broken.py:4: reduce_by_key() works by key")
    assert len(done.stderr.splitlines()) == 1


def test_an_error_in_the_settings_file_is_one_of_the_settings_and_not_of_the_module(
    streamproc: Command, folder: Path
) -> None:
    (folder / "streamproc.toml").write_text("triger = 'once'\n")
    done = streamproc("plan", "orders:app")
    assert done.returncode == 1
    assert done.stderr == (f"Error: unknown setting 'triger' in {folder}/streamproc.toml: did you mean 'trigger'?\n")
