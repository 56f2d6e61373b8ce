"""When batches begin, from times alone."""

from __future__ import annotations

from streamproc.engine.pace import Pace
from streamproc.triggers import Asap, Interval, Once


def test_intervals_begin_at_the_multiples_behind_the_start() -> None:
    pace = Pace(Interval("500ms"), None, now=1_000)
    assert pace.due(1_000, data=True, backlog=False, timer=None) == 1_000
    pace = Pace(Interval("500ms"), None, now=1_001)
    assert pace.due(1_001, data=True, backlog=False, timer=None) == 1_500
    assert pace.begin(1_500) == 1_500
    assert pace.due(1_510, data=True, backlog=False, timer=None) == 2_000


def test_a_batch_that_took_too_long_is_followed_at_once_by_one_for_the_latest_multiple() -> None:
    pace = Pace(Interval("500ms"), 1_000, now=1_010)
    assert pace.due(2_730, data=False, backlog=False, timer=None) == 1_500
    assert pace.begin(2_730) == 2_500
    assert pace.due(2_740, data=False, backlog=False, timer=None) == 3_000


def test_what_a_limit_left_behind_is_taken_at_once_within_the_same_interval() -> None:
    pace = Pace(Interval("500ms"), 1_000, now=1_010)
    assert pace.due(1_020, data=True, backlog=True, timer=None) == 1_020
    assert pace.begin(1_020) == 1_020
    assert pace.due(1_030, data=True, backlog=False, timer=None) == 1_500


def test_as_soon_as_possible_waits_for_data_or_for_a_timer() -> None:
    pace = Pace(Asap(), 1_000, now=1_010)
    assert pace.due(1_200, data=False, backlog=False, timer=None) is None
    assert pace.due(1_200, data=False, backlog=False, timer=1_900) == 1_900
    assert pace.due(1_200, data=False, backlog=False, timer=900) == 1_200
    assert pace.due(1_200, data=True, backlog=False, timer=1_900) == 1_200


def test_a_clock_that_is_set_back_does_not_stall_the_job() -> None:
    pace = Pace(Interval("500ms"), 3_600_000, now=1_010)
    assert pace.due(1_010, data=True, backlog=False, timer=None) == 1_500
    assert pace.due(1_500, data=True, backlog=False, timer=None) == 1_500
    assert pace.begin(1_500) == 3_600_001
    assert pace.due(1_510, data=True, backlog=False, timer=None) == 2_000


def test_no_two_committed_batches_share_a_trigger_time_even_if_the_clock_is_set_back() -> None:
    for trigger in (Asap(), Once(), Interval("500ms")):
        pace = Pace(trigger, 5_000, now=3_000)
        assert pace.begin(3_000) == 5_001
        assert pace.begin(3_000) == 5_002


def test_a_batch_without_anything_to_commit_leaves_its_trigger_time_to_the_next() -> None:
    for trigger in (Asap(), Interval("1s")):
        pace = Pace(trigger, 500, now=2_000)
        assert pace.begin(2_000) == 2_000
        pace.nothing_committed()
        assert pace.begin(1_000) == 2_000, "operators have seen that time already"
        pace.nothing_committed()
        assert pace.begin(2_000) == 2_000
        assert pace.begin(2_000) == 2_001
