"""Values: read back exactly as they were, by whoever has their classes."""

from __future__ import annotations

import subprocess
import sys
import types
from collections import Counter, OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc import Record
from streamproc.errors import DecodeError, EncodeError
from streamproc.values import copy_value, decode_value, decode_values, encode_value, encode_values
from tests.state.shop import (
    Access,
    Basket,
    Click,
    Color,
    Country,
    Draft,
    Empty,
    Level,
    Outer,
    Pair,
    Place,
    Point,
    Span,
    Strict,
    Unit,
    Visit,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
zones = st.none() | st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=30), "XST"), ZoneInfo("Europe/Paris")])
hashables = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(1 << 80), 1 << 80)
    | st.floats(allow_nan=False)
    | text
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes(timezones=zones)
    | st.times(timezones=st.none() | st.just(UTC))
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from([*Color, *Level, Access.READ, Access.READ | Access.WRITE, Access(0), Empty(), Point(1)])
    | st.builds(Click, text, st.integers(), st.floats(allow_nan=False) | st.integers())
    | st.builds(Place, st.integers())
)


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    small = st.lists(inner, max_size=4)
    return (
        small
        | small.map(tuple)
        | st.lists(st.tuples(inner, inner), max_size=4)
        | st.lists(st.builds(Pair[Any], inner, inner), max_size=4)
        | st.sets(hashables, max_size=3)
        | st.frozensets(hashables, max_size=3)
        | st.dictionaries(hashables | st.tuples(hashables), inner, max_size=3)
        | st.builds(Basket, text, st.lists(text, max_size=2))
        | st.builds(Strict, page_name=text, hit_count=st.integers())
        | st.builds(Point, inner, inner)
    )


values = st.recursive(hashables, grown, max_leaves=12)


def exact(value: Any) -> Any:
    """Return something that is equal for two values only if they agree in all types, down to the last item."""
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    if issubclass(kind, msgspec.Struct):
        return kind, [exact(getattr(value, name)) for name in kind.__struct_fields__]
    if kind is Basket:
        return kind, exact(vars(value))
    if issubclass(kind, list | tuple):
        return kind, list(map(exact, value))
    if kind is dict:
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    if kind in (set, frozenset):
        return kind, sorted(repr(exact(item)) for item in value)
    if kind in (datetime, time):
        return kind, repr(value), value.fold
    return kind, repr(value)


@given(values)
def test_a_value_is_read_back_exactly_as_it_was(value: Any) -> None:
    assert exact(decode_value(encode_value(value))) == exact(value)


@given(values)
def test_a_copy_is_what_would_be_read_back(value: Any) -> None:
    assert exact(copy_value(value)) == exact(value)


def test_a_copy_shares_nothing_that_can_change() -> None:
    value = {"a": [1, {"b": [2]}]}
    copy = copy_value(value)
    copy["a"][1]["b"].append(3)
    assert value == {"a": [1, {"b": [2]}]}


@given(st.lists(values, max_size=6) | st.lists(st.builds(Click, text, st.integers()), max_size=20))
def test_a_column_is_read_back_exactly_as_it_was(column: list[Any]) -> None:
    assert exact(decode_values(encode_values(column))) == exact(column)


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        1 << 63,
        -(1 << 63) - 1,
        [1, 1 << 64],
        {1 << 64: [(1 << 64,)]},
        {(1, "a"): {2: b"b"}},
        datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1),
        time(1, 2, 3, 4, tzinfo=timezone(timedelta(hours=1), "X")),
        date(1, 1, 1),
        Decimal("-1.500E+9"),
        UUID(int=5),
        [Click("ann", 1), Click("ben", 1 << 70)],
        [Click("ann"), Point(1), Click("ben")],
        [(1, 2), (3,)],
        [(), ()],
        [Empty(), Empty()],
        [Level.LOW, Level.HIGH],
        Country.CHILE,
        [Country.SPAIN, Country.CHILE],
        {"unit": Unit.FOOT},
        [Unit.METRE, Unit.FOOT],
        Visit("home"),
        [Visit("home", views=5), Visit("cart")],
        Span(3, 4),
        [Span(3, 4), Span(5, 1)],
        Outer.Inner(5),
        Pair(first=("a", 1), second=[Click("ann")]),
    ],
)
def test_the_odd_ones_too(value: object) -> None:
    assert exact(decode_value(encode_value(value))) == exact(value)


def test_a_record_made_with_another_type_than_declared_keeps_it() -> None:
    odd = Click("ann", at="yesterday", weight=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert exact(decode_values(encode_values([odd, Click("ben")]))) == exact([odd, Click("ben")])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Counter("aa"), "collections:Counter"),
        ([OrderedDict[str, int]()], "collections:OrderedDict"),
        ((1, {"a": 1j}), "builtins:complex"),
        (lambda: 1, "builtins:function"),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_types_that_are_not(value: object, name: str) -> None:
    with pytest.raises(EncodeError, match=f"{name}.*expected exactly None, bool"):
        encode_value(value)


def test_an_object_without_a_value_for_a_field_is_refused() -> None:
    with pytest.raises(EncodeError, match=r"without a value for one of its fields.*pages"):
        encode_value(Draft("streams"))


def test_a_value_that_contains_itself_is_refused() -> None:
    circle: list[Any] = [[]]
    circle[0].append(circle)
    with pytest.raises(EncodeError, match="contains itself"):
        encode_value(circle)


def test_a_class_inside_a_function_is_refused_before_it_is_written() -> None:
    class Local(Record):
        value: int

    with pytest.raises(EncodeError, match="define it at the top of its module"):
        encode_value(Local(1))


def shop_of_tomorrow(monkeypatch: pytest.MonkeyPatch, **classes: type) -> None:
    """Put a module in the place of ``tests.state.shop``, as the next version of a program would have it."""
    module = types.ModuleType("tests.state.shop")
    for name, kind in classes.items():
        kind.__module__, kind.__qualname__ = module.__name__, name
        setattr(module, name, kind)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_fields_that_came_take_their_defaults_and_fields_that_went_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    one, column = encode_value(Click("ann", 5)), encode_values([Click("ann", 5), Click("ben", 6)])

    class Later(Record):
        country: str = "?"
        user: str = ""

    shop_of_tomorrow(monkeypatch, Click=Later)

    assert decode_value(one) == Later("?", "ann")
    assert decode_values(column) == [Later("?", "ann"), Later("?", "ben")]


def test_a_new_field_without_a_default_is_a_decode_error(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_value(Click("ann"))

    class Later(Record):
        user: str
        country: str

    shop_of_tomorrow(monkeypatch, Click=Later)
    with pytest.raises(DecodeError, match="country"):
        decode_value(data)


def test_new_fields_take_their_defaults_where_a_class_computes_some(monkeypatch: pytest.MonkeyPatch) -> None:
    visit, span = encode_value(Visit("home", 3)), encode_values([Span(3, 4)])

    class LaterVisit(Record):
        page: str
        country: str = "?"

        def __post_init__(self) -> None:
            raise AssertionError("a value was made by running code that makes new ones")

    class LaterSpan(NamedTuple):
        y: int
        z: int = 9

    shop_of_tomorrow(monkeypatch, Visit=LaterVisit, Span=LaterSpan)

    assert exact(decode_value(visit))[1] == [exact("home"), exact("?")]
    assert decode_values(span) == [LaterSpan(7, 9)]


def test_a_class_of_a_module_that_is_not_imported_is_not_imported_but_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_value([Click("ann")])
    monkeypatch.delitem(sys.modules, "tests.state.shop")
    with pytest.raises(DecodeError, match=r"class tests\.state\.shop:Click.*import it first"):
        decode_value(data)
    assert "tests.state.shop" not in sys.modules


def test_only_the_four_kinds_of_classes_are_made_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dangerous:
        def __init__(self, *_: object) -> None:
            raise AssertionError("bytes made an object of any class")

    data = encode_value(Click("ann"))
    shop_of_tomorrow(monkeypatch, Click=Dangerous)
    with pytest.raises(DecodeError, match="expected exactly"):
        decode_value(data)


def test_a_class_of_the_main_module_is_written_under_the_name_that_others_know() -> None:
    # The first three lines make of the module what `python -m tests.state.shop` does.
    program = """
import importlib.util, sys
__spec__ = importlib.util.find_spec("tests.state.shop")
exec(open(__spec__.origin).read())
from streamproc.values import decode_value, encode_value
assert Click.__module__ == "__main__"
assert type(decode_value(encode_value(Click("ann")))) is Click
sys.stdout.buffer.write(encode_value(Click("ann")))
"""
    data = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout
    assert decode_value(data) == Click("ann")


@given(st.binary())
def test_bytes_that_are_no_value_are_a_decode_error(data: bytes) -> None:
    try:
        decode_value(data)
    except DecodeError:
        return


def test_a_value_that_is_no_list_is_no_column() -> None:
    with pytest.raises(DecodeError, match="expected the bytes of a list"):
        decode_values(encode_value((1, 2)))
