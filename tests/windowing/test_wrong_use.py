"""Wrong use of windows: it is refused while the pipeline is built, and told what is expected instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streamproc import (
    AfterCount,
    Aggregate,
    AllOf,
    AnyOf,
    App,
    Assigner,
    AtWatermark,
    Calendar,
    Count,
    DeadLetterRecord,
    Global,
    Interval,
    LookBack,
    OperatorError,
    PipelineError,
    Repeated,
    Session,
    Sliding,
    Stream,
    Tumbling,
    Window,
    WindowResult,
    count,
    dead_letter,
    distinct_count,
    histogram,
    quantile,
    quantiles,
    top_k,
    variance_of,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import run
from streamproc.windowing import WindowAssigner

Build = Callable[[], object]

DURATION = 'expected a timedelta, or text such as "500ms", "1m30s", "2h" with the units ms, s, m, h, d'


def numbers() -> Any:
    """Return a stream of a job with a batch each half a second; any method can be called in any way."""
    stream: Stream[int] = App("wrong", trigger=Interval("500ms")).source(MemorySource[int]())
    return stream


def window(assigner: Any = Tumbling("1s"), *slide: Any, **options: Any) -> Any:  # noqa: B008
    return numbers().window(assigner, *slide, **options)


def any_of(kind: Any, *args: Any, **options: Any) -> Any:
    """Make something of whatever is given."""
    return kind(*args, **options)


ASSIGNERS: list[tuple[Build, str]] = [
    (lambda: Tumbling("0s"), "the window's size is '0s': expected more than zero"),
    (lambda: Tumbling("-1s"), f"the window's size is '-1s': {DURATION}"),
    (lambda: Tumbling("10"), f"the window's size is '10': {DURATION}"),
    (lambda: any_of(Tumbling, 10), f"the window's size is 10: {DURATION}"),
    (lambda: Tumbling("10min"), f"the window's size is '10min': {DURATION}"),
    (lambda: Tumbling("1w"), f"the window's size is '1w': {DURATION}"),
    (lambda: Tumbling(timedelta(seconds=-1)), "expected more than zero"),
    (lambda: Tumbling(timedelta(microseconds=5)), "the finest unit is a millisecond"),
    (lambda: Tumbling("1s", offset=timedelta(seconds=-1)), "the window's offset is .*: expected zero or more"),
    (lambda: Sliding("1s", every="0s"), "the window's slide is '0s': expected more than zero"),
    (
        lambda: Sliding("1s", every="1001ms"),
        "windows of 1s every 1s1ms leave gaps in which records are lost: choose a slide of at most the size",
    ),
    (lambda: any_of(Calendar, "year"), r"""Calendar\('year'\): expected "day", "week" or "month\""""),
    (lambda: Calendar("day", "Europe/Berlni"), """no time zone 'Europe/Berlni' .*: expected a name such as "Europe/"""),
    (lambda: Calendar("day", "/etc/passwd"), "there is no time zone '/etc/passwd'"),
    (lambda: Calendar("day", ""), "there is no time zone ''"),
    (
        lambda: any_of(Calendar, "week", week_starts="tuesday"),
        r"""Calendar\(week_starts='tuesday'\): expected "monday" or "sunday\"""",
    ),
    (lambda: Session("0s"), "the session's gap is '0s': expected more than zero"),
    (lambda: Session("0s", touching=True), "the session's gap is '0s': expected more than zero"),
    (lambda: LookBack("0s"), "the window's size is '0s': expected more than zero"),
    (lambda: Count(0), r"Count\(0, every=0\): expected 1 <= every <= n"),
    (lambda: Count(3, every=4), r"Count\(3, every=4\): expected 1 <= every <= n"),
    (lambda: Count(3, every=-1), r"Count\(3, every=-1\): expected 1 <= every <= n"),
]

OPTIONS: list[tuple[Build, str]] = [
    (lambda: window(10, 5), f"the window's length is 10: {DURATION}"),
    (lambda: window(None), r"""window: expected Tumbling\("10s"\), Session\("30m"\), … or a length, got None"""),
    (lambda: window("soon"), f"the window's length is 'soon': {DURATION}"),
    (lambda: window(Session), "or a length, got <class"),
    (lambda: window(Tumbling("1s"), "1s"), r"a slide belongs to a length; Sliding\(…\) has its own"),
    (lambda: window(allowed_latenes="1s"), "no option 'allowed_latenes': did you mean 'allowed_lateness'"),
    (lambda: window(name="sums"), r"window has no option 'name': give it to the aggregate\(…\) or"),
    (
        lambda: window("1s", "1s", allowed_lateness="1s"),
        r"window\('1s'\) has no option 'allowed_lateness': it gives the elements of each window again. Windows that ",
    ),
    (lambda: numbers().key_by(str).window("1s", emit="final"), r"window\('1s'\) has no option 'emit'"),
    (
        lambda: window().aggregate(count(), allowed_lateness="1s"),
        r"aggregate has no option 'allowed_lateness': give it to the window\(…\) before",
    ),
    (lambda: window().aggregate(n=count(), emit="final"), r"'emit': give it to the window\(…\) before"),
    (lambda: window(allowed_lateness=5), f"allowed_lateness is 5: {DURATION}"),
    (lambda: window(allowed_lateness=None), f"allowed_lateness is None: {DURATION}"),
    (lambda: window(allowed_lateness=timedelta(seconds=-1)), "allowed_lateness is .*: expected zero or more"),
    (lambda: window(panes="accumulate"), "panes is 'accumulate': expected 'accumulating', 'discarding', 'retracting'"),
    (lambda: window(result_time="start"), "result_time is 'start': expected 'end', 'earliest', 'latest'"),
    (lambda: window(emit="finally"), "emit is 'finally': expected 'final', 'update'"),
    (lambda: window(emit="final", trigger=AtWatermark()), "emit= is a name for a trigger: give one of emit= and trigg"),
    (lambda: window(trigger="5s"), r"window: '5s' is no trigger: expected AfterCount\(100\), AfterDelay"),
    (lambda: window(trigger=AtWatermark), r"window: <class .*AtWatermark'> is no trigger"),
    (
        lambda: window(Count(3), emit="update", allowed_lateness="1s"),
        r"window\(Count\(…\), emit, allowed_lateness=…\): windows of so many records give one result, when they have",
    ),
    (lambda: window().aggregate(count), r"aggregate: expected an aggregate such as count\(\)"),
    (lambda: window().aggregate(), r"aggregate: expected an aggregate such as count\(\)"),
    (
        lambda: window().aggregate(count()).filter(bool).late(),
        r"late\(\): filter-1 is no window: ask what aggregate\(\) has returned",
    ),
    (
        lambda: numbers().key_by(str).window(Tumbling("1s")).aggregate(count()).filter(bool).late(),
        "filter-1 is no window",
    ),
    (lambda: window().aggregate(count(), on_eror="skip"), "has no option 'on_eror': did you mean 'on_error'"),
    (
        lambda: window(Tumbling("1300ms")).aggregate(count()),
        "the window's size is 1s300ms, which is no multiple of the batch interval of 500ms: change one of them, or use",
    ),
    (lambda: window(Tumbling("1s", offset="100ms")).aggregate(count()), "the window's offset is 100ms, which is no"),
    (lambda: window(Sliding("1s", every="250ms")).aggregate(count()), "the window's slide is 250ms, which is no"),
]


@pytest.mark.parametrize(("build", "message"), [*ASSIGNERS, *OPTIONS])
def test_wrong_use_is_refused_and_told_what_is_expected(build: Build, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build()


NO_TRIGGER = r"""is no trigger: expected AfterCount\(100\), AfterDelay\("10s"\) or another"""
WHAT_A_TYPE_CHECKER_FINDS: list[tuple[Build, str]] = [
    (lambda: any_of(AtWatermark, early="10s"), f"AtWatermark: '10s' {NO_TRIGGER}"),
    (lambda: any_of(AtWatermark, early=AfterCount), f"AtWatermark: <class '.*AfterCount'> {NO_TRIGGER}"),
    (lambda: any_of(AtWatermark, late="10s"), f"AtWatermark: '10s' {NO_TRIGGER}"),
    (lambda: any_of(AnyOf, AfterCount(3), "10s"), f"AnyOf: '10s' {NO_TRIGGER}"),
    (lambda: any_of(AllOf, AfterCount(3), 5), f"AllOf: 5 {NO_TRIGGER}"),
    (lambda: any_of(Repeated, "10s"), f"Repeated: '10s' {NO_TRIGGER}"),
    (lambda: any_of(AfterCount, "3"), r"AfterCount\('3'\): expected at least 1 record, as an integer"),
    (lambda: any_of(AfterCount, 2.5), r"AfterCount\(2.5\): expected at least 1 record, as an integer"),
    (lambda: any_of(Count, "3"), r"Count\('3', every='3'\): expected 1 <= every <= n, as integers"),
    (lambda: any_of(Count, 2.5), r"Count\(2.5, every=2.5\): expected 1 <= every <= n, as integers"),
    (lambda: any_of(Calendar, "day", None), "there is no time zone None"),
    (lambda: window(Tumbling).aggregate(count()), "or a length, got <class '.*Tumbling'>"),
    (lambda: any_of(quantile, "0.5"), r"quantiles: expected a list of numbers, got \['0.5'\]"),
    (lambda: any_of(quantiles, 0.5), "quantiles: expected a list of numbers, got 0.5"),
    (lambda: any_of(quantile, 0.5, error="1%"), r"quantile\(error='1%'\): expected at least 1e-06 and less than 1"),
    (lambda: any_of(histogram, 5), "histogram: expected a list of numbers, got 5"),
    (lambda: any_of(histogram, ["a"]), r"histogram: expected a list of numbers, got \['a'\]"),
    (lambda: any_of(top_k, "3"), "top_k: k is '3': expected a whole number of at least 1"),
    (lambda: any_of(top_k, 2.5), "top_k: k is 2.5: expected a whole number of at least 1"),
    (lambda: any_of(variance_of, abs, population="no"), "variance_of: population is 'no': expected True or False"),
    (lambda: any_of(distinct_count, approximate=0.01), "approximate is 0.01: expected True or False"),
    (lambda: any_of(Session, "1s", touching="yes"), "the session's touching is 'yes': expected True or False"),
    (lambda: any_of(Session, "1s", touching=5), "the session's touching is 5: expected True or False"),
    (lambda: any_of(Calendar, "day", UTC), "there is no time zone datetime.timezone.utc"),
    (
        lambda: window("1s", "1s").aggregate(count()),
        r"""<Stream window-1> has no aggregate\(\): call it on windows such as window\(Tumbling\("1m"\)\)""",
    ),
    (
        lambda: window().aggregate(count()).map(str).late(),
        r"<Stream map-1> has no late\(\): call it on what aggregate\(\) or reduce\(\) of windows has returned",
    ),
    (
        lambda: numbers().key_by(str).window(Tumbling("1s")).aggregate(count()).map_values(str).late(),
        r"<KeyedStream map_values-1> has no late\(\): call it on what aggregate\(\) or reduce\(\)",
    ),
    (lambda: window().agregate(count()), r"windows have no agregate\(\): did you mean 'aggregate'"),
    (lambda: window().aggregate(n=count(), into=dict), "aggregate: dict has no field 'n': it has none"),
    (lambda: window().aggregate(n=count(), into=5), "into is 5: expected a class, such as a Record with a field for"),
    (
        lambda: window().map(str),
        r"map\(\) works on the results of windows: call aggregate\(...\) or reduce\(...\) before",
    ),
    (
        lambda: numbers().key_by(str).window(Tumbling("1s")).to(None),
        r"to\(\) works on the results of windows: call aggr",
    ),
]


@pytest.mark.parametrize(("build", "message"), WHAT_A_TYPE_CHECKER_FINDS)
def test_what_a_type_checker_finds_is_refused_too(build: Build, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build()


def test_windows_can_be_asked_what_methods_they_have() -> None:
    windows = window()
    assert hasattr(windows, "aggregate")
    assert not hasattr(windows, "map")


def test_a_calendar_takes_a_time_zone_by_its_name_or_itself() -> None:
    assert Calendar("day", ZoneInfo("Europe/Berlin")) == Calendar("day", "Europe/Berlin")


@pytest.mark.parametrize("assigner", [Global(), LookBack("1s"), Session("1s"), Calendar("day"), Sliding("1s", "1s")])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"emit": "final", "allowed_lateness": "0s", "panes": "retracting"},
        {"trigger": AtWatermark(early=AfterCount(1)), "result_time": "earliest", "allowed_lateness": "1d"},
        {"trigger": AfterCount(1), "panes": "discarding"},
    ],
)
def test_each_kind_of_windows_takes_each_option(assigner: WindowAssigner, options: dict[str, Any]) -> None:
    results: list[WindowResult[int]] = run(
        [5], lambda s: s.event_time(lambda t: t).window(assigner, **options).aggregate(count())
    )
    assert {result.value for result in results} == {1}


class Returning(Assigner):
    """An assigner that returns what it is given."""

    def __init__(self, windows: Any) -> None:
        self.windows = windows

    def assign(self, timestamp: int) -> Iterable[Window]:
        if timestamp == 13:
            raise ValueError("thirteen")
        found: Iterable[Window] = self.windows
        return found


def counted(assigner: Assigner, **options: Any) -> list[WindowResult[int]]:
    return run([5, 13, 7], lambda s: s.event_time(lambda t: t).window(assigner).aggregate(count(), **options))


def test_a_window_that_does_not_hold_the_time_is_an_error_of_the_program_whatever_the_policy() -> None:
    for options in ({}, {"on_error": "skip"}):
        with pytest.raises(
            PipelineError, match=r"Returning: assign\(5\) has returned Window\(start=6, .* doesn't hold"
        ):
            counted(Returning([Window(6, 9)]), **options)


def test_an_assigner_that_fails_names_the_record_and_can_be_skipped() -> None:
    assigner = Returning([Window(5, 8)])
    with pytest.raises(OperatorError, match=r"ValueError: thirteen\n  function: Returning\.assign"):
        counted(assigner)
    results = counted(assigner, on_error="skip")
    assert [(result.start, result.end, result.value) for result in results] == [(5, 8, 2)]


@pytest.mark.parametrize("windows", [Window(5, 6), [5], None])
def test_what_is_no_window_is_a_failure_of_the_assigner(windows: Any) -> None:
    with pytest.raises(OperatorError, match=r"function: Returning\.assign"):
        counted(Returning(windows))


def test_a_window_that_is_returned_twice_is_one_window() -> None:
    results = counted(Returning([Window(5, 8), Window(5, 8)]), on_error="skip")
    assert [(result.start, result.end, result.value) for result in results] == [(5, 8, 2)]


class TakeOutError(ArithmeticError):
    """What an inverse raises that can't take out a seven."""


def take_out(total: list[int], leaving: list[int]) -> list[int]:
    for value in leaving:
        total.remove(value)
        if value == 7:
            raise TakeOutError
    return total


def test_an_inverse_that_fails_names_the_operator_and_what_is_left_is_merged_anew() -> None:
    lists = Aggregate[int, list[int], list[int]](
        "lists", lambda v: [v], lambda a, v: [*a, v], lambda a, b: a + b, sorted, copy=list, inverse=take_out
    )

    def windows(**options: Any) -> list[list[int]]:
        found = run(
            [[1, 7, 8, 12, 13], [26], [38]],
            lambda s: (
                s.event_time(lambda t: t).window(Sliding("15ms", every="5ms")).aggregate(lists, name="lists", **options)
            ),
        )
        return [result.value for result in found]

    with pytest.raises(OperatorError, match=r"'lists' failed on a record: TakeOutError(.|\n)*function: take_out"):
        windows()
    seen = [1, 7, 8, 12, 13]
    expected = [[1], seen[:3], seen, seen[1:], seen[3:], [26], [26], [26, 38], [38], [38]]
    assert windows(on_error="skip") == expected


class Hesitating(AfterCount):
    """A trigger with an error."""

    def is_ready(self, memory: int, now: int, *, passed: bool) -> bool:
        raise LookupError(memory)


def test_an_error_in_a_trigger_names_the_operator() -> None:
    with pytest.raises(LookupError) as failed:
        run([1], lambda s: s.window(Global(), trigger=Hesitating(1)).aggregate(count(), name="all"))
    assert failed.value.__notes__ == ["in the operator 'all'"]


def unfit(values: list[int]) -> int:
    raise ValueError(f"{len(values)} values")


@pytest.mark.parametrize(
    ("options", "failures"),
    [
        ({}, ["2 values", "1 values"]),
        ({"trigger": AtWatermark(early=AfterCount(9))}, ["2 values", "1 values"]),
        ({"emit": "update"}, ["1 values", "2 values", "1 values"]),
    ],
)
def test_a_result_that_fails_has_failed_once(options: dict[str, Any], failures: list[str]) -> None:
    dead = MemorySink[DeadLetterRecord]()
    lists = Aggregate[int, list[int], int]("lists", lambda v: [v], lambda a, v: [*a, v], lambda a, b: a + b, unfit)
    found: list[object] = run(
        [[5], [7], [12]],
        lambda s: (
            s.event_time(lambda t: t).window(Tumbling("10ms"), **options).aggregate(lists, on_error=dead_letter(dead))
        ),
    )
    assert found == []
    assert [letter.error for letter in dead.values] == [f"ValueError: {failure}" for failure in failures]
