"""What a plan says of windows: each kind brings together the records of a key, or all records."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import App, Calendar, Count, Global, LookBack, Session, Sliding, Tumbling, count
from streamproc.connectors.memory import MemorySink, MemorySource

ASSIGNERS = [
    Tumbling("1s"),
    Sliding("3s", every="1s"),
    Calendar("day"),
    Session("1s"),
    Session("1s", at_most="5s"),
    LookBack("1s"),
    Count(3),
    Global(),
]


@pytest.mark.parametrize("assigner", ASSIGNERS, ids=repr)
@pytest.mark.parametrize(("keyed", "expected"), [(True, "exchange by key"), (False, "exchange to one shard")])
def test_windows_are_a_stage_of_their_own(assigner: Any, keyed: bool, expected: str) -> None:
    app = App("plans")
    numbers: Any = app.source(MemorySource[int](), name="numbers")
    stream = numbers.key_by(str) if keyed else numbers
    stream.window(assigner).aggregate(count(), name="counts").to(MemorySink[Any]())
    assert f"stage 2 ({expected})\n  counts " in app.plan().explain()
