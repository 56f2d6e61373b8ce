"""Keys: read back as they were, and ordered as bytes as they are as values."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import DecodeError, EncodeError
from streamproc.state import decode_key, encode_key
from streamproc.state.keys import decode_parts, encode_bound, encode_prefix, prefix_end

text = st.text(st.characters(exclude_categories=["Cs"]) | st.just("\0"))
integers = (
    st.integers() | st.integers(-(1 << 70), 1 << 70) | st.sampled_from([256**n + d for n in range(9) for d in (-1, 0)])
)
floats = st.floats(allow_nan=False)
scalars = st.none() | st.booleans() | integers | floats | text | st.binary()
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


def typed(key: Any) -> Any:
    """A key that is equal to another one only if their types are too."""
    kind: Any = type(key)  # pyright: ignore[reportUnknownVariableType]
    return tuple(map(typed, key)) if kind is tuple else (kind, key)


@given(keys)
def test_a_key_is_read_back_as_it_was(key: Any) -> None:
    assert typed(decode_key(encode_key(key))) == typed(key)


@given(st.lists(keys, max_size=4))
def test_joined_keys_are_taken_apart_again(parts: list[Any]) -> None:
    assert typed(tuple(decode_parts(encode_prefix(*parts)))) == typed(tuple(parts))


@given(
    st.lists(integers).map(sorted)
    | st.lists(floats).map(sorted)
    | st.lists(text).map(sorted)
    | st.lists(st.binary()).map(sorted)
)
def test_bytes_are_in_the_order_of_the_keys(ordered: list[Any]) -> None:
    assert sorted(map(encode_key, ordered)) == list(map(encode_key, ordered))


@given(st.lists(st.tuples(text, integers) | st.tuples(text) | st.tuples(text, integers, st.binary())))
def test_tuples_are_in_order_item_by_item_and_shorter_ones_first(tuples: list[tuple[Any, ...]]) -> None:
    assert sorted(map(encode_key, tuples)) == [encode_key(key) for key in sorted(tuples)]


@given(st.lists(st.tuples(text, integers)), st.tuples(text), st.tuples(text, integers))
def test_a_tuple_as_a_bound_stands_for_all_that_begin_with_it(found: list[Any], start: Any, end: Any) -> None:
    low, high = encode_bound(start), encode_bound(end)
    inside = [key for key in found if low <= encode_key(key) < high]
    assert inside == [key for key in found if start <= key < end]


@given(st.lists(st.lists(text, min_size=1, max_size=3)), st.lists(text, min_size=1, max_size=2))
def test_the_range_of_a_prefix_holds_what_begins_with_the_same_keys_and_nothing_else(
    sequences: list[list[str]], prefix: list[str]
) -> None:
    start = encode_prefix(*prefix)
    # The case that the next larger prefix would get wrong.
    sequences = [*sequences, prefix, [*prefix, "x"], [*prefix[:-1], prefix[-1] + "\0x"]]
    inside = [keys for keys in sequences if start <= encode_prefix(*keys) < prefix_end(start)]
    assert inside == [keys for keys in sequences if keys[: len(prefix)] == prefix]


def test_zero_is_one_key_whatever_its_sign() -> None:
    assert encode_key(-0.0) == encode_key(0.0)


class Level(IntEnum):
    HIGH = 1


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize("key", [[1], {1}, object(), Level.HIGH, Point(1, 2), bytearray(b"a"), 1j, (1, [2])])
def test_a_key_of_another_type_is_refused_with_the_types_that_are_not(key: object) -> None:
    with pytest.raises(EncodeError, match="expected None, bool, int, float, str, bytes or a tuple of these"):
        encode_key(key)


def test_nan_and_lone_surrogates_are_refused() -> None:
    with pytest.raises(EncodeError, match="NaN"):
        encode_key((1, math.nan))
    with pytest.raises(EncodeError, match="surrogate"):
        encode_key("\ud800")


@given(st.binary())
def test_bytes_that_are_no_key_are_a_decode_error(data: bytes) -> None:
    try:
        key = decode_key(data)
    except DecodeError:
        return
    # NaN is the one thing that can be read but not written.
    assert "nan" in repr(key) or typed(decode_key(encode_key(key))) == typed(key)
