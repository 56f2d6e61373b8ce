"""Folders with an app in them, and the command in these folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command, command_in, orders_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the app ``orders`` in it."""
    return orders_in(tmp_path)


@pytest.fixture
def streamproc(folder: Path) -> Command:
    """Return the command in that folder."""
    return command_in(folder)


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the app has taken its 100 orders in batches of 30; not to be changed."""
    folder = orders_in(tmp_path_factory.mktemp("ran"))
    done = command_in(folder)("run", "orders:app", "--trigger", "once", "--max-records", "30")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def look(ran: Path) -> Command:
    """Return the command in the folder where the app has run."""
    return command_in(ran)
