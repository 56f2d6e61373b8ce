"""The examples of docs/state.md do what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

import streamproc
import streamproc.testing


def test_the_examples_work() -> None:
    document = Path(__file__).parents[2] / "docs" / "state.md"
    names = {name: getattr(module, name) for module in (streamproc.testing, streamproc) for name in module.__all__}
    result = doctest.testfile(str(document), module_relative=False, globs=names)
    assert result.attempted > 10
    assert result.failed == 0
