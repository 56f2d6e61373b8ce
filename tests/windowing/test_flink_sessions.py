"""The rules of Apache Flink's sessions: which touch, what late records do to them, and when they are closed.

Flink's watermarks are a millisecond less. Where streamproc differs on purpose, a test says so. For what a line of a
story means see `story`.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import AfterCount, Repeated, Session
from tests.windowing.story import tell

SESSIONS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "touching: a gap apart is one session, which ends a millisecond later": (
        Session("10ms", touching=True),
        {},
        """
        0 10           ->
        20             ->
        31 watermark=30 ->
        watermark=31   -> 0..31 of 0 10 20, on time 0 last
        end            -> 31..42 of 31, on time 0 last
        """,
    ),
    "touching one that has gone": (
        Session("10ms", touching=True),
        {},
        """
        0              ->
        watermark=11   -> 0..11 of 0, on time 0 last
        10             ->
        watermark=21   -> 10..21 of 10, on time 0 last
        """,
    ),
    "touching one that has given": (
        Session("10ms", touching=True),
        {"allowed_lateness": "5ms"},
        """
        0              ->
        watermark=11   -> 0..11 of 0, on time 0
        10             ->
        watermark=21   -> 0..21 of 0 10, on time 1
        """,
    ),
    "a gap of 3 s": (
        Session("3s"),
        {},
        """
        a:1@0 a:2@1000 a:3@2500 b:1@10 b:2@1000 ->
        a:4@5501 b:6@5501 b:4@6000 b:5@6050 ->
        watermark=12000 -> a 0..5500 of 1 2 3, on time 0 last; a 5501..8501 of 4, on time 0 last
                           b 10..4000 of 1 2, on time 0 last; b 5501..9050 of 4 5 6, on time 0 last
        b:7@15000       ->
        end             -> b 15000..18000 of 7, on time 0 last
        """,
    ),
    # Judged on what a session becomes: its start may go back without limit.
    "late records that join an open session": (
        Session("10ms"),
        {},
        """
        10 19 28       ->
        watermark=26   ->
        12             ->
        3              ->
        0              ->
        watermark=38   -> 0..38 of 0 3 10 12 19 28, on time 0 last
        """,
    ),
    "and those that touch it": (
        Session("10ms", touching=True),
        {},
        """
        20             ->
        watermark=26   ->
        10             ->
        0              ->
        watermark=30   ->
        watermark=31   -> 0..31 of 0 10 20, on time 0 last
        """,
    ),
    "a late record that is refused leaves nothing that others could join": (
        Session("3s"),
        {},
        """
        1000 2000       ->
        watermark=4999  ->
        4500            ->
        8500            ->
        watermark=7401  ->
        7000            ->
        watermark=11502 -> 1000..11500 of 1000 2000 4500 7000 8500, on time 0 last
        11600           ->
        watermark=14601 -> 11600..14600 of 11600, on time 0 last
        10000           -> late 10000
        10100           -> late 10100
        14500           ->
        watermark=20001 -> 14500..17500 of 14500, on time 0 last
        """,
    ),
    "a late record that joins one which has given": (
        Session("3s"),
        {"allowed_lateness": "10ms"},
        """
        11600           ->
        watermark=14601 -> 11600..14600 of 11600, on time 0
        10000           -> 10000..14600 of 10000 11600, late 1
        14500           ->
        watermark=20001 -> 10000..17500 of 10000 11600 14500, on time 2 last
        """,
    ),
    "the same, discarding": (
        Session("3s"),
        {"allowed_lateness": "10ms", "panes": "discarding"},
        """
        11600           ->
        watermark=14601 -> 11600..14600 of 11600, on time 0
        10000           -> 10000..14600 of 10000, late 1
        14500           ->
        watermark=20001 -> 10000..17500 of 14500, on time 2 last
        """,
    ),
    # Flink doesn't tell that one result is in place of others: that is what retracting is for.
    "a late record between two that have given": (
        Session("3s"),
        {"allowed_lateness": "10s", "panes": "retracting"},
        """
        1000 8500       ->
        watermark=11501 -> 1000..4000 of 1000, on time 0; 8500..11500 of 8500, on time 0
        3500 6000       -> back 1000..4000 of 1000, late 1; back 8500..11500 of 8500, late 1
                           1000..11500 of 1000 3500 6000 8500, late 1
        """,
    ),
    "each growth has its own end and close": (
        Session("10ms"),
        {"allowed_lateness": "5ms"},
        """
        10             ->
        watermark=20   -> 10..20 of 10, on time 0
        watermark=24   ->
        14             -> 10..24 of 10 14, late 1
        watermark=25   ->
        14             -> 10..24 of 10 14 14, late 2
        15             -> 10..25 of 10 14 14 15, late 3
        watermark=30   ->
        15             -> late 15
        """,
    ),
    "counts of merging sessions add up": (
        Session("3s"),
        {"trigger": Repeated(AfterCount(4)), "panes": "discarding"},
        """
        1 1000         ->
        6500           ->
        3600           -> 1..9500 of 1 1000 3600 6500, early 0
        end            ->
        """,
    ),
}


@pytest.mark.parametrize("title", SESSIONS)
def test_sessions(title: str) -> None:
    assigner, options, story = SESSIONS[title]
    tell(assigner, story, **options)
