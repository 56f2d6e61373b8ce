"""Codecs: what is written is read, what is no value is refused, and a type chooses its usual codec."""

# Json() is of any type.
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc import Record
from streamproc.codecs import Bytes, Codec, Integer, Json, Msgpack, Text, codec_of
from streamproc.errors import EncodeError, PipelineError


class Order(Record):
    name: str
    count: int = 1


ORDERS = st.builds(Order, st.text(max_size=5), st.integers(-(1 << 63), (1 << 63) - 1))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)

WRITTEN: list[tuple[Codec[Any], st.SearchStrategy[Any]]] = [
    (Json(Order), ORDERS),
    (Json(), PLAIN),
    (Msgpack(Order), ORDERS),
    (Text(), st.text()),
    (Text("utf-16"), st.text()),
    (Bytes(), st.binary()),
    (Integer(), st.integers(-(1 << 63), (1 << 63) - 1)),
    (Integer(2), st.integers(-(1 << 15), (1 << 15) - 1)),
]


@pytest.mark.parametrize(("codec", "values"), WRITTEN, ids=[repr(codec) for codec, _ in WRITTEN])
@given(data=st.data())
def test_what_is_written_is_read(codec: Codec[Any], values: st.SearchStrategy[Any], data: Any) -> None:
    rows = data.draw(st.lists(values, max_size=5))
    written = [codec.encode(row) for row in rows]
    assert codec.decoder.decode_many(written) == rows
    assert [codec.decoder.decode(record) for record in written] == rows


@pytest.mark.parametrize(
    ("codec", "record"),
    [
        (Json(Order), b'{"count": 1}'),
        (Json(Order), b""),
        (Json(), b"{"),
        (Msgpack(Order), b"\x93"),
        (Text(), b"\xff"),
        (Integer(), b"123"),
        (Integer(), b""),
    ],
)
def test_what_is_no_value_is_refused_alone_and_among_others(codec: Codec[Any], record: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017 - any exception means that it can't be read
        codec.decoder.decode(record)
    with pytest.raises(Exception):  # noqa: B017
        codec.decoder.decode_many([record])


def test_two_records_are_never_read_for_one() -> None:
    # Joined by line breaks, these would be three records.
    decoder = Json(Order).decoder
    assert decoder.decode_many([b'{"name":\n"a"}', b'{"name": "b"}']) == [Order("a"), Order("b")]
    with pytest.raises(Exception, match="trailing"):
        decoder.decode_many([b'{"name": "a"}\n{"name": "b"}', b'{"name": "c"}'])
    with pytest.raises(Exception, match="truncated"):
        decoder.decode_many([b'{"name": "a"}', b""])


@pytest.mark.parametrize(
    ("codec", "value", "error"),
    [
        (Bytes(), "text", EncodeError),
        (Integer(), 1 << 63, OverflowError),
        (Integer(1), 128, OverflowError),
        (Json(), object(), TypeError),
        (Text("ascii"), "é", UnicodeEncodeError),
    ],
)
def test_what_can_not_be_written_is_refused(codec: Codec[Any], value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        codec.encode(value)


@pytest.mark.parametrize(
    ("given_type", "expected"),
    [
        (str, Text()),
        (bytes, Bytes()),
        (int, Integer()),
        (dict, Json()),
        (Order, Json(Order)),
        (list[int], Json(list[int])),
        (Msgpack(Order), Msgpack(Order)),
    ],
)
def test_a_type_has_its_usual_codec(given_type: Any, expected: Codec[Any]) -> None:
    assert codec_of(given_type) == expected


def test_wrong_choices_are_told() -> None:
    with pytest.raises(PipelineError, match="is no codec: expected a type such as a Record"):
        codec_of(lambda: 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(PipelineError, match=r"Integer\(size=3\): expected 1, 2, 4 or 8 bytes"):
        Integer(3)
