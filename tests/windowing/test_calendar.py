"""Days, weeks and months of a time zone, where clocks are changed: days of 23 and 25 hours, and without a midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streamproc import AfterCount, AtWatermark, Calendar, WindowResult, collect, count
from streamproc.testing import run
from streamproc.windowing.slices import slices_of

HOUR = 3_600_000
SAO_PAULO, BEIRUT, BERLIN = "America/Sao_Paulo", "Asia/Beirut", "Europe/Berlin"


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def at(text: str, zone: str = "UTC") -> int:
    """Return the time at which the clocks of a zone, or of the offset that is given, show something."""
    moment = datetime.fromisoformat(text)
    return ms(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone)))


def clock(time: int, zone: str) -> str:
    """Return what the clocks of a zone show at a time."""
    return datetime.fromtimestamp(time / 1_000, ZoneInfo(zone)).isoformat(timespec="minutes")


def window_at(calendar: Calendar, time: int) -> tuple[int, int]:
    slices = slices_of(calendar)
    window = slices.window(slices.last_end(slices.start(time)))
    return window.start, window.end


DAYS = [
    # Daylight saving in the north begins in March and ends in October.
    (BERLIN, "2026-03-29T12:00", "2026-03-29T00:00+01:00", 23),
    (BERLIN, "2026-10-25T12:00", "2026-10-25T00:00+02:00", 25),
    (BERLIN, "2026-10-26T12:00", "2026-10-26T00:00+01:00", 24),
    ("America/New_York", "2026-03-08T12:00", "2026-03-08T00:00-05:00", 23),
    ("America/New_York", "2026-11-01T12:00", "2026-11-01T00:00-04:00", 25),
    # In the south it is the other way round, and on Lord Howe it is half an hour.
    ("Australia/Sydney", "2024-10-06T12:00", "2024-10-06T00:00+10:00", 23),
    ("Australia/Sydney", "2024-04-07T12:00", "2024-04-07T00:00+11:00", 25),
    ("Australia/Lord_Howe", "2024-04-07T12:00", "2024-04-07T00:00+11:00", 24.5),
    ("Australia/Lord_Howe", "2024-10-06T12:00", "2024-10-06T00:00+10:30", 23.5),
    # The clocks go from midnight to one: the day begins at one.
    (SAO_PAULO, "2018-11-03T12:00", "2018-11-03T00:00-03:00", 24),
    (SAO_PAULO, "2018-11-04T12:00", "2018-11-04T01:00-02:00", 23),
    (BEIRUT, "2022-03-27T12:00", "2022-03-27T01:00+03:00", 23),
    ("Africa/Cairo", "2024-04-26T12:00", "2024-04-26T01:00+03:00", 23),
    ("Asia/Tehran", "2022-03-22T12:00", "2022-03-22T01:00+04:30", 23),
    # They go from midnight to eleven of the day before, which has two last hours.
    (SAO_PAULO, "2018-02-17T12:00", "2018-02-17T00:00-02:00", 25),
    (SAO_PAULO, "2018-02-17T23:30-02:00", "2018-02-17T00:00-02:00", 25),
    (SAO_PAULO, "2018-02-17T23:30-03:00", "2018-02-17T00:00-02:00", 25),
    # They go from one to midnight: the day begins at the first of two.
    ("America/Havana", "2024-11-03T00:30-04:00", "2024-11-03T00:00-04:00", 25),
    ("America/Havana", "2024-11-03T00:30-05:00", "2024-11-03T00:00-04:00", 25),
    # Samoa went over the date line and has left out a day.
    ("Pacific/Apia", "2011-12-29T12:00", "2011-12-29T00:00-10:00", 24),
    ("Pacific/Apia", "2011-12-31T12:00", "2011-12-31T00:00+14:00", 24),
    ("Asia/Kathmandu", "2024-01-01T12:00", "2024-01-01T00:00+05:45", 24),
    # Leap years.
    ("UTC", "2024-02-29T23:59", "2024-02-29T00:00+00:00", 24),
]


@pytest.mark.parametrize(("zone", "inside", "start", "hours"), DAYS)
def test_a_day_has_as_many_hours_as_the_clocks_say(zone: str, inside: str, start: str, hours: float) -> None:
    found = window_at(Calendar("day", zone), at(inside, zone))
    assert (clock(found[0], zone), (found[1] - found[0]) / HOUR) == (start, hours)


@pytest.mark.parametrize(
    ("zone", "inside", "week_starts", "start", "end"),
    [
        ("UTC", "2026-01-01T12:00", "monday", "2025-12-29T00:00+00:00", "2026-01-05T00:00+00:00"),
        ("UTC", "2026-01-01T12:00", "sunday", "2025-12-28T00:00+00:00", "2026-01-04T00:00+00:00"),
        ("UTC", "2026-01-04T23:59", "monday", "2025-12-29T00:00+00:00", "2026-01-05T00:00+00:00"),
        ("UTC", "2026-01-04T00:00", "sunday", "2026-01-04T00:00+00:00", "2026-01-11T00:00+00:00"),
        ("UTC", "2024-02-29T12:00", "monday", "2024-02-26T00:00+00:00", "2024-03-04T00:00+00:00"),
        ("UTC", "1970-01-01T00:00", "monday", "1969-12-29T00:00+00:00", "1970-01-05T00:00+00:00"),
        (BERLIN, "2026-03-29T12:00", "monday", "2026-03-23T00:00+01:00", "2026-03-30T00:00+02:00"),
        (BERLIN, "2026-03-29T01:00", "sunday", "2026-03-29T00:00+01:00", "2026-04-05T00:00+02:00"),
        # A week that begins on a day without a midnight.
        (SAO_PAULO, "2018-11-05T12:00", "sunday", "2018-11-04T01:00-02:00", "2018-11-11T00:00-02:00"),
        (SAO_PAULO, "2018-11-04T00:59", "monday", "2018-10-29T00:00-03:00", "2018-11-05T00:00-02:00"),
        (BEIRUT, "2022-03-28T12:00", "sunday", "2022-03-27T01:00+03:00", "2022-04-03T00:00+03:00"),
        ("Pacific/Apia", "2011-12-31T12:00", "monday", "2011-12-26T00:00-10:00", "2012-01-02T00:00+14:00"),
    ],
)
def test_a_week_begins_on_monday_or_on_sunday(zone: str, inside: str, week_starts: Any, start: str, end: str) -> None:
    found = window_at(Calendar("week", zone, week_starts=week_starts), at(inside, zone))
    assert [clock(time, zone) for time in found] == [start, end]


@pytest.mark.parametrize(
    ("zone", "inside", "start", "hours"),
    [
        ("UTC", "2024-02-29T23:59", "2024-02-01T00:00+00:00", 29 * 24),
        ("UTC", "2023-02-28T23:59", "2023-02-01T00:00+00:00", 28 * 24),
        ("UTC", "2100-02-28T12:00", "2100-02-01T00:00+00:00", 28 * 24),
        ("UTC", "2000-02-29T12:00", "2000-02-01T00:00+00:00", 29 * 24),
        ("UTC", "2026-12-31T23:59", "2026-12-01T00:00+00:00", 31 * 24),
        ("UTC", "2026-01-31T12:00", "2026-01-01T00:00+00:00", 31 * 24),
        (BERLIN, "2026-03-01T00:00", "2026-03-01T00:00+01:00", 31 * 24 - 1),
        (BERLIN, "2026-10-31T23:59", "2026-10-01T00:00+02:00", 31 * 24 + 1),
        ("Australia/Sydney", "2024-04-15T12:00", "2024-04-01T00:00+11:00", 30 * 24 + 1),
        ("Australia/Sydney", "2024-10-15T12:00", "2024-10-01T00:00+10:00", 31 * 24 - 1),
        ("Pacific/Apia", "2011-12-15T12:00", "2011-12-01T00:00-10:00", 30 * 24),
    ],
)
def test_a_month_has_as_many_days_as_it_has(zone: str, inside: str, start: str, hours: int) -> None:
    found = window_at(Calendar("month", zone), at(inside, zone))
    assert (clock(found[0], zone), (found[1] - found[0]) / HOUR) == (start, hours)


ZONES = [
    *["UTC", BERLIN, SAO_PAULO, BEIRUT, "America/Havana"],
    *["America/Scoresbysund", "Australia/Lord_Howe", "Pacific/Apia"],
]
LENGTHS = [("day", (22, 26)), ("week", (143, 170)), ("month", (27 * 24, 31 * 24 + 2))]


@pytest.mark.parametrize("zone", [*ZONES, "America/St_Johns"])
@pytest.mark.parametrize(("unit", "hours"), LENGTHS)
def test_windows_follow_one_another_without_gap_or_overlap(zone: str, unit: Any, hours: tuple[int, int]) -> None:
    slices = slices_of(Calendar(unit, zone))
    time, until = at("2005-01-01T00:00"), at("2030-01-01T00:00")
    end = slices.last_end(slices.start(time))
    while end < until:
        window = slices.window(slices.last_end(slices.start(end)))
        assert window.start == end
        assert slices.start(window.end - 1) == window.start
        assert hours[0] <= (window.end - window.start) / HOUR <= hours[1], clock(window.start, zone)
        end = window.end


@pytest.mark.parametrize("zone", ZONES)
def test_a_time_is_in_the_day_that_the_clocks_show(zone: str) -> None:
    slices, tz = slices_of(Calendar("day", zone)), ZoneInfo(zone)
    moment = datetime(2011, 1, 1, tzinfo=UTC)
    while moment.year < 2019:
        window = slices.window(slices.last_end(slices.start(ms(moment))))
        assert window.start <= ms(moment) < window.end
        first = datetime.fromtimestamp(window.start / 1_000, tz)
        assert moment.astimezone(tz).date() == first.date()
        moment += timedelta(minutes=247)


def test_a_day_that_begins_is_interrupted_and_begins_again() -> None:
    # Until 2011 the clocks of St. John's went from a minute past midnight to a minute past eleven of the day before.
    for second in (60, 61, 1_800, 3_659):
        time = at("2009-11-01T00:00:00-02:30") + second * 1_000
        slices = slices_of(Calendar("day", "America/St_Johns"))
        window = slices.window(slices.last_end(slices.start(time)))
        assert window.start <= time < window.end


CLICKS = ["2018-11-03T23:59-03:00", "2018-11-04T01:00-02:00", "2018-11-04T23:59-02:00", "2018-11-05T00:00-02:00"]


@pytest.mark.parametrize("options", [{}, {"allowed_lateness": "2h"}, {"trigger": AtWatermark(early=AfterCount(9))}])
def test_clicks_of_a_weekend_on_the_engine(options: dict[str, Any]) -> None:
    results: list[WindowResult[int]] = run(
        [datetime.fromisoformat(click) for click in CLICKS],
        lambda s: s.event_time(lambda click: click).window(Calendar("day", SAO_PAULO), **options).aggregate(count()),
    )
    found = [(clock(r.start, SAO_PAULO), clock(r.end, SAO_PAULO), r.value, r.timing) for r in results]
    assert found == [
        ("2018-11-03T00:00-03:00", "2018-11-04T01:00-02:00", 1, "on_time"),
        ("2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00", 2, "on_time"),
        ("2018-11-05T00:00-02:00", "2018-11-06T00:00-02:00", 1, "on_time"),
    ]


def test_a_month_takes_late_records_until_its_lateness_is_over() -> None:
    batches = [
        ["2024-02-01T00:00", "2024-02-29T23:59"],
        ["2024-03-01T00:00"],
        ["2024-02-29T12:00"],
        ["2024-03-03T00:00"],
        ["2024-02-29T13:00"],
    ]
    results: list[WindowResult[list[str]]] = run(
        batches,
        lambda s: s.event_time(at).window(Calendar("month"), allowed_lateness="2d").aggregate(collect()),
    )
    found = [(clock(r.start, "UTC")[:7], len(r.value), r.timing) for r in results]
    assert found == [("2024-02", 2, "on_time"), ("2024-02", 3, "late"), ("2024-03", 2, "on_time")]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("unit", ["day", "week", "month"])
@pytest.mark.parametrize("options", [{}, {"emit": "final"}])
def test_the_last_day_that_a_time_can_have_has_a_window(zone: str, unit: Any, options: dict[str, Any]) -> None:
    # "31 December 9999" is how many say that there is no date.
    times = ["2026-01-01T12:00", "9999-12-01T12:00", "9999-12-31T12:00", "9999-12-31T23:59:59"]
    results: list[WindowResult[list[str]]] = run(
        times, lambda s: s.event_time(at).window(Calendar(unit, zone), **options).aggregate(collect())
    )
    assert sorted(time for result in results for time in result.value) == times
    for result in results:
        assert all(result.start <= at(time) < result.end for time in result.value)
