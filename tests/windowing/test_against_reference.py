"""DStream windows on the real engine against windows by definition, on random batches, lengths and slides."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import KeyedStream, Stream
from tests.windowing import reference
from tests.windowing.ticks import outputs

Pair = tuple[str, int]

BATCHES = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5)), max_size=4) | st.just([]), min_size=1, max_size=14
)


def keyed(stream: Stream[Pair]) -> KeyedStream[str, int]:
    return stream.key_by(lambda pair: pair[0]).map_values(lambda pair: pair[1])


def in_any_order(found: list[list[Any]]) -> list[list[Any]]:
    return [sorted(rows) for rows in found]


@settings(max_examples=300, deadline=None)
@given(batches=BATCHES, length=st.integers(1, 6), slide=st.integers(1, 6), data=st.data())
def test_every_window_operator_gives_what_its_definition_says(
    batches: list[list[Pair]], length: int, slide: int, data: st.DataObject
) -> None:
    batches = batches + [[]] * data.draw(st.integers(0, length + slide), label="empty batches at the end")
    restart_after = data.draw(st.none() | st.integers(1, len(batches)), label="restart after")
    size, every = f"{length}s", f"{slide}s"
    found = outputs(
        batches,
        {
            "window": lambda s: s.window(size, every),
            "pairs": lambda s: keyed(s).window(size, every),
            "grouped": lambda s: keyed(s).window(size, every).group_by_key(),
            "count": lambda s: s.count_by_window(size, every),
            "texts": lambda s: s.map(str).reduce_by_window(operator.add, size, every),
            "sum": lambda s: s.map(lambda p: p[1]).reduce_by_window(operator.add, size, every, inverse=operator.sub),
            "values": lambda s: s.map(lambda p: p[0]).count_by_value_and_window(size, every),
            "key texts": lambda s: keyed(s).map_values(str).reduce_by_key_and_window(operator.add, size, every),
            "key sums": lambda s: keyed(s).reduce_by_key_and_window(operator.add, size, every, inverse=operator.sub),
            "kept": lambda s: keyed(s).reduce_by_key_and_window(
                operator.add, size, every, inverse=operator.sub, keep=lambda _key, total: total > 0
            ),
        },
        restart_after=restart_after,
    )
    letters = [[letter for letter, _ in batch] for batch in batches]
    numbers = [[number for _, number in batch] for batch in batches]
    texts = [[(letter, str(number)) for letter, number in batch] for batch in batches]

    assert found["window"] == reference.window(batches, length, slide)
    assert found["pairs"] == reference.window(batches, length, slide)
    assert in_any_order(found["grouped"]) == in_any_order(
        reference.reduce_by_key_and_window(
            [[(key, [number]) for key, number in batch] for batch in batches], operator.add, length, slide
        )
    )
    assert found["count"] == reference.count_by_window(batches, length, slide)
    assert found["texts"] == reference.reduce_by_window(
        [[str(pair) for pair in batch] for batch in batches], operator.add, length, slide
    )
    assert found["sum"] == reference.sums_with_inverse(numbers, length, slide)
    assert in_any_order(found["values"]) == in_any_order(reference.count_by_value_and_window(letters, length, slide))
    assert in_any_order(found["key texts"]) == in_any_order(
        reference.reduce_by_key_and_window(texts, operator.add, length, slide)
    )
    assert in_any_order(found["key sums"]) == in_any_order(reference.key_sums_with_inverse(batches, length, slide))
    assert in_any_order(found["kept"]) == in_any_order(reference.positive_key_sums(batches, length, slide))
