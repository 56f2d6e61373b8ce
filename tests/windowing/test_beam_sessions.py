"""The rules of Apache Beam's sessions: how they merge, what late records do to them, and how their panes go on.

Where streamproc differs on purpose, a test says so. For what a line of a story means see `story`.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import AfterCount, AfterDelay, AtWatermark, Repeated, Session, WindowResult, count
from streamproc.testing import run
from tests.windowing.story import tell

EACH = AtWatermark(early=AfterCount(1), late=AfterCount(1))
SESSION = Session("10ms")


@pytest.mark.parametrize(
    ("gap", "times", "sessions"),
    [
        ("10ms", [0, 10, 101], [(0, 10), (10, 20), (101, 111)]),
        ("10ms", [0, 9], [(0, 19)]),
        ("10ms", [1, 2, 5, 9, 100, 101], [(1, 19), (100, 111)]),
        ("10ms", [1, 15, 30, 100, 101, 95, 22, 10], [(1, 40), (95, 111)]),
        ("1s", [1, 2, 1_000, 5_000, 5_001, 10_000], [(1, 2_000), (5_000, 6_001), (10_000, 11_000)]),
        ("10ms", [0, 5, 15], [(0, 15), (15, 25)]),
    ],
)
def test_records_closer_than_the_gap_are_in_one_session(
    gap: str, times: list[int], sessions: list[tuple[int, int]]
) -> None:
    for batches in ([times], [[time] for time in times], [[time] for time in reversed(times)]):
        results: list[WindowResult[int]] = run(
            batches,
            lambda s: s.event_time(lambda t: t, out_of_orderness="1h").window(Session(gap)).aggregate(count()),
        )
        assert [(result.start, result.end) for result in results] == sessions
        assert sum(result.value for result in results) == len(times)


def test_keys_never_merge_with_one_another() -> None:
    tell(
        Session("4ms"),
        """
        a:1 a:4 a:9 b:3  ->
        end              -> a 1..8 of 1 4, on time 0 last; a 9..13 of 9, on time 0 last; b 3..7 of 3, on time 0 last
        """,
    )


def test_all_of_a_batch_is_merged_before_anything_is_given() -> None:
    tell(
        SESSION,
        """
        1 20 10 11    ->
        watermark=29  ->
        watermark=30  -> 1..30 of 1 10 11 20, on time 0 last
        31 45 40 watermark=60 -> 31..55 of 31 40 45, on time 0 last
        """,
    )


SESSIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a late record within the session": (
        {},
        """
        1 5           ->
        watermark=15  -> 1..15 of 1 5, on time 0
        3             -> 1..15 of 1 3 5, late 1
        """,
    ),
    "a session that has grown before its first end": (
        {},
        """
        1             ->
        5             ->
        watermark=12  ->
        watermark=14  ->
        watermark=15  -> 1..15 of 1 5, on time 0
        3             -> 1..15 of 1 3 5, late 1
        """,
    ),
    # Beam counts panes anew where a session changes its start or end; here they go on.
    "a late record that takes the end ahead of the watermark": (
        {},
        """
        1 5           ->
        watermark=15  -> 1..15 of 1 5, on time 0
        14            ->
        watermark=23  ->
        watermark=24  -> 1..24 of 1 5 14, on time 1
        watermark=124 ->
        """,
    ),
    "the same, discarding": (
        {"panes": "discarding"},
        """
        1 5           ->
        watermark=15  -> 1..15 of 1 5, on time 0
        14            ->
        watermark=24  -> 1..24 of 14, on time 1
        """,
    ),
    "late records that take it not so far": (
        {},
        """
        1             ->
        watermark=30  -> 1..11 of 1, on time 0
        6             -> 1..16 of 1 6, late 1
        15            -> 1..25 of 1 6 15, late 2
        """,
    ),
    "a late record before the start": (
        {},
        """
        5             ->
        watermark=15  -> 5..15 of 5, on time 0
        1             -> 1..15 of 1 5, late 1
        5             -> 1..15 of 1 5 5, late 2
        """,
    ),
    "early panes of a session that grows": (
        {"trigger": AtWatermark(early=AfterCount(1)), "allowed_lateness": "0ms"},
        """
        1             -> 1..11 of 1, early 0
        5             -> 1..15 of 1 5, early 1
        5             -> 1..15 of 1 5 5, early 2
        watermark=15  -> 1..15 of 1 5 5, on time 3 last
        """,
    ),
    "a late record between two that have given": (
        {},
        """
        1             ->
        15            ->
        watermark=30  -> 1..11 of 1, on time 0; 15..25 of 15, on time 0
        8             -> 1..25 of 1 8 15, late 1
        """,
    ),
    "the same, retracting": (
        {"panes": "retracting"},
        """
        1             ->
        15            ->
        watermark=30  -> 1..11 of 1, on time 0; 15..25 of 15, on time 0
        8             -> back 1..11 of 1, late 1; back 15..25 of 15, late 1; 1..25 of 1 8 15, late 1
        9             -> back 1..25 of 1 8 15, late 2; 1..25 of 1 8 9 15, late 2
        """,
    ),
    "a late record between one that has given and one that has not": (
        {},
        """
        1             ->
        15            ->
        watermark=12  -> 1..11 of 1, on time 0
        8             ->
        watermark=25  -> 1..25 of 1 8 15, on time 1
        """,
    ),
    "the same, discarding between": (
        {"panes": "discarding"},
        """
        1             ->
        15            ->
        watermark=12  -> 1..11 of 1, on time 0
        8             ->
        watermark=25  -> 1..25 of 8 15, on time 1
        """,
    ),
    "the index is the largest of those that merge": (
        {"trigger": EACH},
        """
        1             -> 1..11 of 1, early 0
        15            -> 15..25 of 15, early 0
        16            -> 15..26 of 15 16, early 1
        17            -> 15..27 of 15 16 17, early 2
        8             -> 1..27 of 1 8 15 16 17, early 3
        watermark=27  -> 1..27 of 1 8 15 16 17, on time 4
        """,
    ),
    "counts add up": (
        {"trigger": AtWatermark(early=AfterCount(2)), "panes": "discarding"},
        """
        1             ->
        5             -> 1..15 of 1 5, early 0
        20            ->
        12            -> 1..30 of 12 20, early 1
        """,
    ),
    "the delay is that of the first record of all": (
        {"trigger": Repeated(AfterDelay("5s"))},
        """
        1 now=10s     ->
        15 now=12s    ->
        8 now=13s     ->
        now=14s       ->
        now=15s       -> 1..25 of 1 8 15, early 0
        now=20s       ->
        """,
    ),
    "a session that has given on time and has grown is early again": (
        {"trigger": AtWatermark(early=AfterCount(9), late=AfterCount(1))},
        """
        1             ->
        watermark=11  -> 1..11 of 1, on time 0
        5             ->
        watermark=15  -> 1..15 of 1 5, on time 1
        """,
    ),
    "it is closed by its own end": (
        {"allowed_lateness": "10ms"},
        """
        1             ->
        watermark=11  -> 1..11 of 1, on time 0
        8             ->
        watermark=20  -> 1..18 of 1 8, on time 1
        2             -> 1..18 of 1 2 8, late 2
        watermark=28  ->
        17            -> 17..27 of 17, late 0
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", SESSIONS)
def test_late_records_and_merging_sessions(change: str) -> None:
    options, story = SESSIONS[change]
    tell(SESSION, story, **{"allowed_lateness": "100ms", **options})
