"""The definitions of triggers as what they are: functions of what they remember, without a window or an engine."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamproc import (
    AfterCount,
    AfterDelay,
    AllOf,
    AnyOf,
    AtWatermark,
    OnClose,
    OnUpdate,
    PipelineError,
    Repeated,
)
from streamproc.windowing import WindowTrigger

COUNT, DELAY = AfterCount(3), AfterDelay("10ms")


class Watched:
    """A trigger and what it remembers of one window."""

    def __init__(self, trigger: WindowTrigger, memory: Any = None) -> None:
        self.trigger = trigger
        self.memory = trigger.begin() if memory is None else memory

    def came(self, records: int, *, now: int = 0, passed: bool = False) -> Watched:
        return Watched(self.trigger, self.trigger.on_records(self.memory, records, now, passed=passed))

    def ready(self, *, now: int = 0, passed: bool = False) -> bool:
        return self.trigger.is_ready(self.memory, now, passed=passed)

    def given(self, *, now: int = 0, passed: bool = False) -> tuple[Watched, bool]:
        memory, finished = self.trigger.on_result(self.memory, now, passed=passed)
        return Watched(self.trigger, memory), finished

    def goes_on(self, *, now: int = 0, passed: bool = False) -> Watched:
        """Return it behind a result, which must not have finished it."""
        watched, finished = self.given(now=now, passed=passed)
        assert not finished
        return watched

    def merged(self, *others: Watched, passed: bool = False) -> Watched:
        memories = [self.memory, *(other.memory for other in others)]
        return Watched(self.trigger, self.trigger.merge(memories, passed=passed))

    def due(self, now: int = 0) -> int | None:
        return self.trigger.due(self.memory, now)

    def woken(self, now: int, *, passed: bool = False) -> int | None:
        """Return when it is found ready if it is asked whenever it says, and no records come; None for never."""
        while not self.ready(now=now, passed=passed):
            due = self.due(now)
            if due is None:
                return None
            assert due > now, "it is asked again at once, without end"
            now = due
        return now


def test_a_count_is_ready_once_so_many_have_come_and_then_finishes() -> None:
    fresh = Watched(COUNT)
    assert not fresh.ready()
    assert not fresh.came(2).ready()
    assert fresh.came(2).came(1).ready()
    assert fresh.came(7).ready()
    assert fresh.came(3).ready(passed=True)
    again, finished = fresh.came(7).given()
    assert finished
    assert not again.came(2).ready()
    assert fresh.came(2).due() is None


def test_counts_of_merged_sessions_add_up() -> None:
    one, two = Watched(COUNT).came(1), Watched(COUNT).came(1)
    assert not one.merged(two).ready()
    assert one.merged(two, Watched(COUNT).came(1)).ready()
    assert one.merged(two).came(1).ready()


def test_a_delay_is_ready_so_long_behind_the_first_record_and_at_that_very_time() -> None:
    fresh = Watched(DELAY)
    assert (fresh.ready(now=1_000), fresh.due()) == (False, None)
    waiting = fresh.came(1, now=5).came(4, now=14)
    assert (waiting.due(5), waiting.due(14), waiting.due(15)) == (15, 15, None)
    assert [waiting.ready(now=now) for now in (14, 15, 16)] == [False, True, True]
    again, finished = waiting.given(now=15)
    assert finished
    assert (again.due(), again.ready(now=100)) == (None, False)
    assert again.came(1, now=20).due() == 30


def test_the_delay_of_merged_sessions_is_that_of_the_first_record_of_all() -> None:
    early, late, empty = Watched(DELAY).came(1, now=5), Watched(DELAY).came(1, now=7), Watched(DELAY)
    assert late.merged(early, empty).due() == 15
    assert empty.merged(late).due() == 17
    assert empty.merged(empty).due() is None


def test_any_of_several_is_ready_with_the_first_and_all_of_them_with_the_last() -> None:
    any_of, all_of = Watched(AnyOf(COUNT, DELAY)), Watched(AllOf(COUNT, DELAY))
    table: list[tuple[int, int, bool, bool]] = [
        # Records, time since the first, any, all.
        (2, 9, False, False),
        (3, 9, True, False),
        (2, 10, True, False),
        (3, 10, True, True),
    ]
    for records, since, any_ready, all_ready in table:
        assert any_of.came(records, now=100).ready(now=100 + since) is any_ready
        assert all_of.came(records, now=100).ready(now=100 + since) is all_ready
    assert not any_of.ready(now=1_000)
    assert not all_of.ready(now=1_000)


def test_combinations_begin_anew_and_finish_with_a_result() -> None:
    for combination in (AnyOf(COUNT, DELAY), AllOf(COUNT, DELAY)):
        again, finished = Watched(combination).came(3, now=5).given(now=15)
        assert finished
        assert again.memory == combination.begin()


@pytest.mark.parametrize(
    ("trigger", "records", "ready"),
    [
        (AnyOf(AfterDelay("10ms"), AfterDelay("30ms"), COUNT), 1, 15),
        (AllOf(AfterDelay("10ms"), AfterDelay("30ms")), 1, 35),
        (AllOf(AfterDelay("10ms"), AfterDelay("30ms"), COUNT), 3, 35),
        (AllOf(DELAY, COUNT), 2, None),
        (AllOf(DELAY, OnClose()), 9, None),
        (AnyOf(COUNT, OnClose()), 2, None),
        (AnyOf(AllOf(DELAY, COUNT), AfterDelay("30ms")), 2, 35),
        (AllOf(DELAY, AnyOf(AfterCount(1), AfterDelay("30ms"))), 1, 15),
    ],
)
def test_combinations_are_found_ready_when_they_are(trigger: WindowTrigger, records: int, ready: int | None) -> None:
    assert Watched(trigger).came(records, now=5).woken(5) == ready


def test_combinations_merge_part_by_part() -> None:
    one, two = Watched(AllOf(COUNT, DELAY)).came(1, now=5), Watched(AllOf(COUNT, DELAY)).came(2, now=8)
    assert one.merged(two).woken(8) == 15
    assert one.merged(two).ready(now=15)
    nested = Watched(AnyOf(AllOf(COUNT, DELAY), AfterCount(5)))
    assert nested.came(2).merged(nested.came(3)).ready()


def test_a_combination_of_one_is_that_one() -> None:
    for combination in (AnyOf(COUNT), AllOf(COUNT)):
        assert not Watched(combination).came(2).ready()
        assert Watched(combination).came(3).ready()


def test_repeated_never_finishes_and_begins_anew_each_time() -> None:
    watched = Watched(Repeated(COUNT))
    for _ in range(3):
        watched = watched.came(2)
        assert not watched.ready()
        watched = watched.came(2)
        assert watched.ready()
        watched = watched.goes_on()
    delayed = Watched(Repeated(DELAY)).came(1, now=5)
    assert delayed.due() == 15
    assert delayed.goes_on(now=15).due(15) is None
    assert Watched(Repeated(COUNT)).came(1).merged(Watched(Repeated(COUNT)).came(2)).ready()


def test_repeated_leaves_a_trigger_alone_that_has_not_finished() -> None:
    watched = Watched(Repeated(AtWatermark())).goes_on(passed=True)
    assert not watched.ready(passed=True), "it was given on time already"


def test_an_update_comes_with_every_batch_of_records() -> None:
    watched = Watched(OnUpdate())
    assert not watched.ready()
    for passed in (False, False, True):
        watched = watched.came(1, passed=passed)
        assert watched.ready(passed=passed)
        watched = watched.goes_on(passed=passed)
        assert not watched.ready(passed=passed)
    assert watched.due() is None


def test_the_close_is_nobodys_turn_to_ask_for() -> None:
    watched = Watched(OnClose()).came(1_000, now=1)
    assert not watched.ready(now=1_000, passed=True)
    assert not watched.goes_on().ready(passed=True)
    assert (watched.due(), watched.merged(watched).memory) == (None, None)


def test_at_the_watermark_there_is_one_result_whatever_has_come() -> None:
    for watched in (Watched(AtWatermark()), Watched(AtWatermark()).came(5)):
        assert not watched.ready()
        assert watched.ready(passed=True)
        assert not watched.goes_on(passed=True).ready(passed=True)


def test_early_results_are_given_before_the_end_only_and_late_ones_behind_it() -> None:
    watched = Watched(AtWatermark(early=AfterCount(2), late=AfterCount(3)))
    assert not watched.came(1).ready()
    assert watched.came(2).ready()
    watched = watched.came(2).goes_on()
    assert not watched.came(1).ready(), "the early trigger begins anew"
    watched = watched.came(1).goes_on(passed=True)
    assert not watched.came(2, passed=True).ready(passed=True), "only late records count for the late trigger"
    assert watched.came(3, passed=True).ready(passed=True)
    watched = watched.came(3, passed=True).goes_on(passed=True)
    assert not watched.came(2, passed=True).ready(passed=True)
    assert watched.came(2, passed=True).came(1, passed=True).ready(passed=True)


def test_what_is_due_is_early_before_the_result_at_the_watermark_and_late_behind_it() -> None:
    watched = Watched(AtWatermark(early=AfterDelay("10ms"), late=AfterDelay("30ms")))
    assert watched.due() is None
    assert watched.came(1, now=5).due(5) == 15
    behind = watched.came(1, now=5).goes_on(now=8, passed=True)
    assert behind.due(8) is None
    assert behind.came(1, now=20, passed=True).due(20) == 50
    assert Watched(AtWatermark()).came(1).due() is None


def test_by_default_each_batch_of_late_records_gives_a_result() -> None:
    watched = Watched(AtWatermark()).goes_on(passed=True)
    for _ in range(3):
        assert not watched.ready(passed=True)
        watched = watched.came(1, passed=True)
        assert watched.ready(passed=True)
        watched = watched.goes_on(passed=True)


def test_a_merged_session_was_given_if_one_was_and_its_end_has_not_moved_ahead() -> None:
    fresh = Watched(AtWatermark(early=AfterCount(2)))
    given_one, open_one = fresh.came(1).goes_on(passed=True), fresh.came(1)
    assert not given_one.merged(open_one, passed=True).ready(passed=True)
    assert given_one.merged(open_one, passed=True).came(1, passed=True).ready(passed=True)
    ahead = given_one.merged(open_one, passed=False)
    assert not ahead.ready(), "of the two records one was given already"
    assert ahead.came(1).ready()
    assert ahead.ready(passed=True)
    assert open_one.merged(open_one, passed=True).ready(passed=True), "none was given"


PLAIN = st.one_of(st.integers(1, 3).map(AfterCount), st.integers(1, 20).map(lambda ms: AfterDelay(f"{ms}ms")))
TRIGGERS: st.SearchStrategy[WindowTrigger] = st.recursive(
    st.one_of(PLAIN, st.just(OnUpdate()), st.just(OnClose())),
    lambda inner: st.one_of(
        inner.map(Repeated),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: AnyOf(*some)),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: AllOf(*some)),
        st.tuples(st.none() | inner, st.none() | inner).map(lambda both: AtWatermark(early=both[0], late=both[1])),
    ),
    max_leaves=5,
)
STEPS = st.lists(st.tuples(st.sampled_from(["came", "given", "merged"]), st.integers(0, 9), st.booleans()), max_size=8)


@settings(deadline=None)
@given(trigger=TRIGGERS, steps=STEPS)
def test_what_is_remembered_is_a_value_that_nothing_changes_and_that_state_can_hold(
    trigger: WindowTrigger, steps: list[tuple[str, int, bool]]
) -> None:
    watched, now = Watched(trigger), 0
    for step, time, passed in steps:
        now += time
        before = deepcopy(watched.memory)
        watched.ready(now=now, passed=passed)
        following: dict[str, Callable[[Watched], Watched]] = {
            "came": lambda each: each.came(1, now=now, passed=passed),  # noqa: B023
            "given": lambda each: each.given(now=now, passed=passed)[0],  # noqa: B023
            "merged": lambda each: each.merged(each.came(2, now=now), passed=passed),  # noqa: B023
        }
        after = following[step](watched)
        assert watched.memory == before
        watched = Watched(trigger, after.memory)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(watched.memory)) == watched.memory


READY_PART = Repeated(AllOf(AfterDelay("1s"), AnyOf(AfterCount(1), AfterDelay("9s"))))


@settings(deadline=None)
@example(trigger=READY_PART, times=[0], passed=False)
@given(trigger=TRIGGERS, times=st.lists(st.integers(0, 15), min_size=1, max_size=4), passed=st.booleans())
def test_whoever_asks_a_trigger_when_it_says_finds_it_ready_as_soon_as_it_is(
    trigger: WindowTrigger, times: list[int], passed: bool
) -> None:
    watched, now = Watched(trigger), 0
    for time in times:
        now += time
        watched = watched.came(1, now=now, passed=passed)
        if watched.ready(now=now, passed=passed):
            watched, finished = watched.given(now=now, passed=passed)
            if finished:
                return
    ready = next((later for later in range(now, now + 2_000) if watched.ready(now=later, passed=passed)), None)
    assert watched.woken(now, passed=passed) == ready


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        (AfterCount(3), "after 3 records"),
        (AfterDelay("90s"), "after 1m30s"),
        (AnyOf(COUNT, DELAY), "after 3 records or after 10ms"),
        (AllOf(COUNT, DELAY), "after 3 records and after 10ms"),
        (Repeated(DELAY), "again and again after 10ms"),
        (AtWatermark(), "at the watermark, late after 1 records"),
        (AtWatermark(early=DELAY, late=COUNT), "early after 10ms, at the watermark, late after 3 records"),
        (OnUpdate(), "with each update"),
        (OnClose(), "at the close"),
    ],
)
def test_what_a_trigger_says_of_itself_tells_it_from_others(trigger: WindowTrigger, text: str) -> None:
    assert str(trigger) == text


def test_triggers_are_equal_by_what_they_say_and_can_not_be_changed() -> None:
    assert AnyOf(AfterCount(3), AfterDelay("10ms")) == AnyOf(COUNT, DELAY)
    assert len({AnyOf(COUNT, DELAY), AllOf(COUNT, DELAY), AnyOf(DELAY, COUNT)}) == 3
    assert AtWatermark() == AtWatermark(late=AfterCount(1))
    assert len({AfterCount(3), COUNT, Repeated(COUNT), Repeated(AfterCount(3))}) == 2
    with pytest.raises(AttributeError):
        COUNT.n = 4  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: AfterCount(0), r"AfterCount\(0\): expected at least 1"),
    (lambda: AfterCount(-1), r"AfterCount\(-1\): expected at least 1"),
    (lambda: AfterDelay("0s"), "the delay of AfterDelay is '0s': expected more than zero"),
    (lambda: AfterDelay("soon"), "the delay of AfterDelay is 'soon': expected a timedelta, or text such as"),
    (AnyOf, r"AnyOf\(\) needs at least one trigger"),
    (AllOf, r"AllOf\(\) needs at least one trigger"),
]


@pytest.mark.parametrize(("build", "message"), WRONG)
def test_wrong_use_says_what_is_expected(build: Callable[[], object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build()
