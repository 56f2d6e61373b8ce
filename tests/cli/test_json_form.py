"""State of every type as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, auto
from typing import NamedTuple
from uuid import UUID

import pytest

from streamproc import Record
from streamproc.cli.state.json_form import to_json
from streamproc.values import PlainObject, decode_plain, encode_value


class Point(Record):
    x: int
    y: int


class Pair(NamedTuple):
    left: str
    right: Point


@dataclass(frozen=True)
class Label:
    text: str


class Colour(Enum):
    RED = "#f00"


class Access(Flag):
    READ = auto()
    WRITE = auto()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (2**80, 2**80),
        (1.5, 1.5),
        ([1, "a", True], [1, "a", True]),
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({"b": 1, "a": (2,)}, {"b": 1, "a": [2]}),
        ({1: "one", (2, 3): "pair"}, [[1, "one"], [[2, 3], "pair"]]),
        (b"\x00\xff", "AP8="),
        (date(2024, 2, 29), "2024-02-29"),
        (time(12, 30), "12:30:00"),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), "2024-02-29T12:00:00Z"),
        (timedelta(seconds=90), "PT90S"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Point(1, 2), {"x": 1, "y": 2}),
        ([Point(1, 2), Point(3, 4)], [{"x": 1, "y": 2}, {"x": 3, "y": 4}]),
        (Pair("a", Point(1, 2)), {"left": "a", "right": {"x": 1, "y": 2}}),
        ({Label("b"), Label("a")}, [{"text": "a"}, {"text": "b"}]),
        ({Label("a"): 1}, [[{"text": "a"}, 1]]),
        (Colour.RED, {"name": "RED"}),
        (Access.READ | Access.WRITE, {"value": 3}),
        (float("nan"), None),
    ],
)
def test_a_stored_value_as_json(value: object, shown: object) -> None:
    assert json.loads(to_json(decode_plain(encode_value(value)))) == shown


def test_an_object_is_read_without_its_class() -> None:
    data = encode_value(Point(1, 2)).replace(b"Point", b"Ghost")
    found = decode_plain(data)
    assert isinstance(found, PlainObject)
    assert found.class_name == f"{__name__}:Ghost"
    assert found.fields == {"x": 1, "y": 2}


def test_json_for_people_has_a_line_for_each_field() -> None:
    assert to_json({"x": 1, "y": "ü"}, indent=True) == '{\n  "x": 1,\n  "y": "ü"\n}'
