"""Objects whose fields are named while a pipeline is built."""

from __future__ import annotations

import copy
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import DecodeError, EncodeError
from streamproc.values import NamedValues, class_with, decode_value, encode_value
from tests.values.kinds import Found

names = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))


@given(st.dictionaries(names, st.integers() | st.text(max_size=3), min_size=1, max_size=5))
def test_they_are_read_back_as_they_were(values: dict[str, object]) -> None:
    kind = class_with(Found, tuple(values))
    found = kind(*values.values())
    for read in (decode_value(encode_value(found)), decode_value(encode_value([found, found]))[1], copy.copy(found)):
        assert read == found
        assert type(read) is kind
        assert {name: getattr(read, name) for name in values} == values


def test_a_name_may_be_that_of_anything_else() -> None:
    found = class_with(Found, ("named", "count", "index", "self", "cls", "name"))(1, 2, 3, 4, 5, 6)
    assert decode_value(encode_value(found)) == found
    assert repr(found) == "Found(named=1, count=2, index=3, self=4, cls=5, name=6)"


@pytest.mark.parametrize("name", ["", "1a", "a b", "class", "_a", "__init__"])
def test_a_name_that_no_field_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a field"):
        class_with(Found, (name,))


def test_bytes_with_such_a_name_are_a_decode_error() -> None:
    data = encode_value(class_with(Found, ("ab",))(1))
    with pytest.raises(DecodeError, match="can't be the name of a field"):
        decode_value(data.replace(b"ab", b"_b"))


def test_the_class_that_they_derive_from_must_be_in_its_module() -> None:
    class Local(NamedValues, frozen=True, gc=False):
        pass

    with pytest.raises(EncodeError, match="define it at the top of its module"):
        encode_value(class_with(Local, ("a",))(1))
