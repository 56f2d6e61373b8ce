"""The watermark of partitions against its definition, and against time passing millisecond by millisecond."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eventtime.partitions import Partition, PartitionWatermarks
from streamproc.watermark import END_OF_TIME, START_OF_TIME, Watermark, merge

A, B, C = (Partition("source", name) for name in "abc")
BOUND = 5

Round = tuple[dict[Partition, int], dict[Partition, bool], int]
"""The newest timestamps of some records, what is caught up, and how much time passes until the next round."""

PARTITIONS = st.sampled_from([A, B, C])
ROUNDS = st.lists(
    st.tuples(
        st.dictionaries(PARTITIONS, st.integers(0, 100)),
        st.fixed_dictionaries(dict.fromkeys([A, B, C], st.booleans())),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=8,
)


def partitions(*, idle_after: int | None = None, alignment: int | None = None) -> PartitionWatermarks:
    return PartitionWatermarks({}, out_of_orderness=BOUND, idle_after=idle_after, alignment=alignment)


def play(watermarks: PartitionWatermarks, rounds: list[Round]) -> tuple[int, dict[Partition, bool]]:
    """Play rounds, and return when the last one was and what was caught up."""
    now = 0
    caught_up: dict[Partition, bool] = {}
    for newest, caught_up, pause in rounds:
        now += pause
        for partition, time in newest.items():
            watermarks.observe(partition, time)
        watermarks.advance(caught_up, now)
    return now, caught_up


@settings(max_examples=300)
@given(rounds=ROUNDS, idle_after=st.sampled_from([None, 1, 10, 50]))
def test_it_is_the_smallest_of_those_that_are_not_idle(rounds: list[Round], idle_after: int | None) -> None:
    watermarks = partitions(idle_after=idle_after)
    now, _ = play(watermarks, rounds)
    newest: dict[Partition, int] = {}
    quiet_since: dict[Partition, int] = {}
    time = 0
    for seen, caught_up, pause in rounds:
        time += pause
        for partition, timestamp in seen.items():
            newest[partition] = max(newest.get(partition, timestamp), timestamp)
            quiet_since.pop(partition, None)
        for partition, done in caught_up.items():
            if done:
                quiet_since.setdefault(partition, time)
            else:
                quiet_since.pop(partition, None)
    own = {partition: newest.get(partition, START_OF_TIME + BOUND) - BOUND for partition in (A, B, C)}
    idle = {p for p, since in quiet_since.items() if idle_after is not None and now - since >= idle_after}
    active = own.keys() - idle
    if active:
        expected = Watermark(min(own[partition] for partition in active))
    else:
        passed = [own[partition] + now - quiet_since[partition] for partition in own if partition in newest]
        expected = Watermark(max(passed, default=START_OF_TIME), idle=True)
    assert watermarks.advance({}, now) == expected


@settings(max_examples=300)
@given(rounds=ROUNDS, idle_after=st.sampled_from([None, 1, 10, 50]), goal=st.integers(-10, 150))
def test_it_knows_when_time_alone_takes_it_somewhere(rounds: list[Round], idle_after: int | None, goal: int) -> None:
    watermarks = partitions(idle_after=idle_after)
    now, caught_up = play(watermarks, rounds)
    expected = watermarks.reaches(goal, now)
    # Nothing comes from now on; what is there and can't be read stays there.
    found = next((time for time in range(now, now + 400) if watermarks.advance(caught_up, time).time >= goal), None)
    assert found == expected


def test_a_partition_that_has_given_nothing_holds_it_until_it_is_idle() -> None:
    watermarks = partitions(idle_after=10)
    watermarks.observe(A, 100)
    assert watermarks.advance({A: False, B: True}, 1) == Watermark(START_OF_TIME)
    assert watermarks.advance({A: False, B: True}, 10) == Watermark(START_OF_TIME)
    assert watermarks.advance({A: False, B: True}, 11) == Watermark(100 - BOUND)


def test_one_in_which_records_wait_is_never_idle() -> None:
    watermarks = partitions(idle_after=10)
    watermarks.observe(A, 100)
    watermarks.observe(B, 50)
    assert watermarks.advance({A: True, B: False}, 1_000_000) == Watermark(50 - BOUND)
    assert watermarks.reaches(60, 1_000_000) is None


def test_those_that_have_ended_hold_nothing_back() -> None:
    watermarks = partitions()
    watermarks.observe(A, 100)
    watermarks.observe(B, 50)
    watermarks.end(B)
    assert watermarks.advance({A: True}, 1) == Watermark(100 - BOUND)
    watermarks.end(A)
    assert watermarks.advance({}, 2) == Watermark(END_OF_TIME)


def test_alignment_pauses_who_is_ahead_of_the_slowest_that_has_something_to_read() -> None:
    watermarks = partitions(alignment=20)
    for partition, newest in ((A, 100), (B, 121), (C, 120)):
        watermarks.observe(partition, newest)
    watermarks.advance({A: False, B: False, C: False}, 1)
    assert watermarks.paused == {B}
    watermarks.advance({A: True, B: False, C: False}, 2)
    assert watermarks.paused == set(), "nothing can be read in A: pausing B would not help it"


def test_merging_leaves_out_idle_and_ended_inputs() -> None:
    idle, ended = Watermark(3, idle=True), Watermark(END_OF_TIME)
    assert merge([Watermark(7), Watermark(5), idle, ended]) == Watermark(5)
    assert merge([idle, Watermark(9, idle=True), ended]) == Watermark(9, idle=True)
    assert merge([ended, ended]) == ended
