"""The rules of Apache Flink for the watermarks of several inputs: idle ones, those that come back, and alignment.

Flink's are those of `StatusWatermarkValve`, of `WatermarksWithIdleness` and of its sources' splits. Where streamproc
differs on purpose, a test says so.
"""

from __future__ import annotations

import pytest

from streamproc.eventtime.partitions import Partition, PartitionWatermarks
from streamproc.watermark import END_OF_TIME, START_OF_TIME, Watermark, merge


class Channels:
    """Partitions that are idle after ten milliseconds in which nothing is left to read."""

    def __init__(self, names: str, *, bound: int = 0, alignment: int | None = None) -> None:
        self.watermarks = PartitionWatermarks({}, out_of_orderness=bound, idle_after=10, alignment=alignment)
        self.names = names
        self.highest = START_OF_TIME

    def at(self, now: int, newest: str = "", *, quiet: str = "") -> int | None:
        """Return the watermark as an operator sees it, which lets it never go back; None before there is any.

        Args:
            now: The time.
            newest: What has come: ``"a=5 b=7"`` are the newest times of two partitions.
            quiet: The names of those in which nothing is left to read.
        """
        for word in newest.split():
            name, _, time = word.partition("=")
            self.watermarks.observe(Partition("source", name), int(time))
        caught_up = {Partition("source", name): name in quiet for name in self.names}
        self.highest = max(self.highest, self.watermarks.advance(caught_up, now).time)
        return None if self.highest == START_OF_TIME else self.highest

    @property
    def paused(self) -> str:
        return "".join(sorted(partition.name for partition in self.watermarks.paused))


def test_the_watermark_is_the_smallest_of_all_partitions_and_needs_each_once() -> None:
    channels = Channels("abc")
    for newest, watermark in [
        ("a=0", None),
        ("b=0", None),
        ("c=0", 0),
        ("a=12", 0),
        ("c=8", 0),
        ("c=10", 0),
        ("b=15", 10),
        ("c=17", 12),
        ("a=20", 15),
        ("a=12 b=8 c=15", 15),
    ]:
        assert channels.at(0, newest) == watermark, newest


@pytest.mark.parametrize(
    ("bound", "times", "watermark"), [(0, [1_337], 1_337), (10, [12_345, 12_300, 12_340, 12_280], 12_335)]
)
def test_it_is_behind_the_newest_record_by_the_bound(bound: int, times: list[int], watermark: int) -> None:
    channels = Channels("a", bound=bound)
    assert {channels.at(0, f"a={time}") for time in times} == {watermark}


def test_idle_partitions_are_left_out_and_one_that_has_given_nothing_too() -> None:
    channels = Channels("abc")
    assert channels.at(0, "a=15 b=10", quiet="c") is None
    assert channels.at(9, quiet="c") is None
    # Flink's source is idle after more than the time, which begins with its first look.
    assert channels.at(10, quiet="c") == 10
    assert channels.at(11, "b=18", quiet="c") == 15
    assert channels.at(12, "a=20", quiet="c") == 18


def test_an_old_record_ends_idleness_too() -> None:
    channels = Channels("ab")
    assert channels.at(0, "a=15 b=10") == 10
    assert channels.at(1, quiet="b") == 10
    assert channels.at(11, quiet="b") == 15
    assert channels.at(12, "a=20 b=4", quiet="b") == 15
    assert channels.at(21, quiet="b") == 15
    assert channels.at(22, quiet="b") == 20


def test_a_partition_that_comes_back_counts_at_once_and_takes_nothing_back() -> None:
    channels = Channels("abc")
    assert channels.at(0, "a=10 b=7 c=3") == 3
    assert channels.at(1, quiet="c") == 3
    assert channels.at(11, quiet="c") == 7
    assert channels.at(12, "c=5") == 7
    assert channels.at(13, "a=60 b=50") == 7, "in a valve of Flink c would not count before it is at 7"
    assert channels.at(14, "c=9") == 9
    assert channels.at(15, "c=70") == 50


def test_when_all_are_idle_the_newest_watermark_goes_on_with_the_clock() -> None:
    # Flink flushes the largest watermark and then stands still.
    channels = Channels("abc")
    assert channels.at(0, "a=10 b=5 c=3") == 3
    assert channels.at(1, quiet="c") == 3
    assert channels.at(2, quiet="ca") == 3
    assert channels.at(3, quiet="cab") == 3
    assert channels.at(11, quiet="cab") == 5
    assert channels.at(12, quiet="cab") == 5
    # From when a fell silent, at 2, it is as if its time had gone on.
    assert channels.at(13, quiet="cab") == 10 + 11
    assert channels.at(100, quiet="cab") == 10 + 98
    assert channels.at(101, "a=50", quiet="cb") == 10 + 98
    assert channels.at(102, "a=120", quiet="cb") == 120


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_the_order_in_which_they_fall_silent_makes_no_difference_in_the_end(order: str) -> None:
    channels = Channels("abc")
    channels.at(0, "a=10 b=5 c=3")
    for count in (1, 2, 3):
        channels.at(0, quiet=order[:count])
    assert channels.at(10, quiet=order) == 20


@pytest.mark.parametrize(
    ("inputs", "together"),
    [
        ([Watermark(25)], Watermark(25)),
        ([Watermark(15), Watermark(10), Watermark(START_OF_TIME)], Watermark(START_OF_TIME)),
        ([Watermark(15), Watermark(10), Watermark(START_OF_TIME, idle=True)], Watermark(10)),
        ([Watermark(25), Watermark(10, idle=True), Watermark(17)], Watermark(17)),
        ([Watermark(10, idle=True), Watermark(5, idle=True), Watermark(3)], Watermark(3)),
        ([Watermark(10, idle=True), Watermark(5, idle=True), Watermark(3, idle=True)], Watermark(10, idle=True)),
        ([Watermark(5), Watermark(END_OF_TIME)], Watermark(5)),
        ([Watermark(5, idle=True), Watermark(END_OF_TIME)], Watermark(5, idle=True)),
        ([Watermark(END_OF_TIME), Watermark(END_OF_TIME)], Watermark(END_OF_TIME)),
    ],
)
def test_the_watermark_of_several_inputs(inputs: list[Watermark], together: Watermark) -> None:
    assert merge(inputs) == together
    assert merge(reversed(inputs)) == together


def test_alignment_pauses_who_is_more_than_the_limit_ahead() -> None:
    channels = Channels("ab", alignment=1_000)
    for newest, paused in [
        ("a=42 b=44", ""),
        ("a=1042", ""),
        ("a=1044", ""),
        ("a=1045", "a"),
        ("b=45", ""),
        ("b=5000", "b"),
    ]:
        channels.at(0, newest)
        assert channels.paused == paused, newest
    channels.at(1, quiet="a")
    assert channels.paused == "", "nothing is left in a: it is not who is waited for"


def test_alignment_looks_at_what_has_come_not_at_the_bound() -> None:
    channels = Channels("ab", bound=500, alignment=1_000)
    channels.at(0, "a=1600 b=600")
    assert channels.paused == ""
    channels.at(0, "a=1601")
    assert channels.paused == "a"
