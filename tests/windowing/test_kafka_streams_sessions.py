"""The rules of Kafka Streams' sessions and sliding windows, whose ends are inclusive, one by one.

The stream time of Kafka Streams is the newest time that has come: a watermark without a bound on disorder. Where
streamproc differs on purpose, a test says so. For what a line of a story means see `story`.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import LookBack, Session
from tests.windowing.story import tell

Story = tuple[Any, dict[str, Any], str]

FINAL: dict[str, Any] = {"emit": "final"}
UPDATE: dict[str, Any] = {"emit": "update"}

# The windows of Kafka Streams' SlidingWindows that end with a record; those that begin behind one are not given here.
# Its ends are inclusive: a difference of 10 is a size of 11.
LOOKING_BACK: dict[str, Story] = {
    "updates": (
        LookBack("11ms"),
        UPDATE,
        """
        1@10  -> 0..11 of 1, early 0
        2@10  -> 0..11 of 1 2, early 1
        3@14  -> 4..15 of 1 2 3, early 0
        4@15  -> 5..16 of 1 2 3 4, early 0
        5@20  -> 10..21 of 1 2 3 4 5, early 0
        6@22  -> 12..23 of 3 4 5 6, early 0
        7@30  -> 20..31 of 5 6 7, early 0
        """,
    ),
    "final results": (
        LookBack("11ms"),
        {"emit": "final", "allowed_lateness": "5ms"},
        """
        1@10 2@10  ->
        3@14 4@15  ->
        5@20       -> 0..11 of 1 2, on time 0 last; 4..15 of 1 2 3, on time 0 last
        6@22       -> 5..16 of 1 2 3 4, on time 0 last
        7@30       -> 10..21 of 1 2 3 4 5, on time 0 last; 12..23 of 3 4 5 6, on time 0 last
        """,
    ),
    "a record behind has none of its own and is in those that are open": (
        LookBack("51ms"),
        UPDATE,
        """
        1@100  -> 50..101 of 1, early 0
        2@105  -> 55..106 of 1 2, early 0
        3@106  -> 56..107 of 1 2 3, early 0
        4@103  -> 56..107 of 1 2 3 4, early 1
        5@113  -> 63..114 of 1 2 3 4 5, early 0
        6@110  -> 63..114 of 1 2 3 4 5 6, early 1
        """,
    ),
    "at the very end of the grace": (
        LookBack("11ms"),
        {"emit": "update", "allowed_lateness": "5ms"},
        """
        a:1@20  -> a 10..21 of 1, early 0
        b:2@26  -> b 16..27 of 2, early 0
        a:3@20  ->
        """,
    ),
    "too late for all": (
        LookBack("11ms"),
        UPDATE,
        """
        20  -> 10..21 of 20, early 0
        30  -> 20..31 of 20 30, early 0
        25  -> 20..31 of 20 25 30, early 1
        20  -> 20..31 of 20 20 25 30, early 2
        19  -> late 19
        """,
    ),
    "suppressed": (
        LookBack("6ms"),
        {"emit": "final", "allowed_lateness": "15ms"},
        """
        10  ->
        11  ->
        10  ->
        13  ->
        10  ->
        24  ->
        5   ->
        7   ->
        90  -> 5..11 of 5 7 10 10 10, on time 0 last; 6..12 of 7 10 10 10 11, on time 0 last
               8..14 of 10 10 10 11 13, on time 0 last; 19..25 of 24, on time 0 last
        """,
    ),
}

# A session of Kafka Streams ends with its last record, here a gap and a millisecond behind it.
SESSIONS: dict[str, Story] = {
    "a gap apart is one session": (
        Session("5ms", touching=True),
        {"emit": "final", "allowed_lateness": "50ms"},
        "0 5 ->\n 11 ->\n end -> 0..11 of 0 5, on time 0 last; 11..17 of 11, on time 0 last",
    ),
    "a record between that joins two": (
        Session("5ms", touching=True),
        {"emit": "final", "allowed_lateness": "50ms"},
        "0 10 ->\n 5 ->\n end -> 0..16 of 0 5 10, on time 0 last",
    ),
    "a record between that is too far from one": (
        Session("5ms", touching=True),
        {"emit": "final", "allowed_lateness": "50ms"},
        "0 11 ->\n 5 ->\n end -> 0..11 of 0 5, on time 0 last; 11..17 of 11, on time 0 last",
    ),
    # A tombstone for what is not there any more.
    "each update takes back what it replaces": (
        Session("5ms", touching=True),
        {"emit": "update", "panes": "retracting"},
        """
        a:0   -> a 0..6 of 0, early 0
        a:5   -> back a 0..6 of 0, early 1; a 0..11 of 0 5, early 1
        a:2   -> back a 0..11 of 0 5, early 2; a 0..11 of 0 2 5, early 2
        """,
    ),
    "keys have their own": (
        Session("300ms"),
        FINAL,
        """
        a:0 b:0 c:0 d:0  ->
        d:150            ->
        a:301 b:301      -> a 0..300 of 0, on time 0 last; b 0..300 of 0, on time 0 last; c 0..300 of 0, on time 0 last
        a:451 c:451      -> d 0..450 of 0 150, on time 0 last
        """,
    ),
    "without grace": (
        Session("10ms", touching=True),
        FINAL,
        """
        b:0   ->
        a:0   ->
        b:11  -> a 0..11 of 0, on time 0 last; b 0..11 of 0, on time 0 last
        a:0   -> late a 0
        """,
    ),
    "with a grace of one": (
        Session("10ms", touching=True),
        {"emit": "final", "allowed_lateness": "1ms"},
        """
        b:11  ->
        a:0   ->
        b:12  -> a 0..11 of 0, late 0 last
        a:0   -> late a 0
        """,
    ),
    "lateness is that of the session that a record joins": (
        Session("5ms", touching=True),
        FINAL,
        """
        a:10  ->
        b:14  ->
        a:6   ->
        a:1   ->
        c:6   -> late c 6
        a:16  -> a 1..16 of 1 6 10, on time 0 last
        """,
    ),
    "final results": (
        Session("5ms", touching=True),
        FINAL,
        """
        a:0   ->
        a:5   ->
        a:1   ->
        b:11  -> a 0..11 of 0 1 5, on time 0 last
        a:5   -> late a 5
        a:30  -> b 11..17 of 11, on time 0 last
        """,
    ),
    # A suppressed session of Kafka Streams may give several final results of the same records.
    "one final result, and another session where the first is closed and a record is not late": (
        Session("5ms", touching=True),
        {"emit": "final", "allowed_lateness": "2ms"},
        """
        a:0   ->
        b:7   ->
        a:0   ->
        b:8   -> a 0..6 of 0 0, on time 0 last
        a:1   ->
        b:9   -> a 1..7 of 1, late 0 last
        """,
    ),
}


@pytest.mark.parametrize("title", LOOKING_BACK)
def test_windows_that_look_back(title: str) -> None:
    assigner, options, story = LOOKING_BACK[title]
    tell(assigner, story, bound="0ms", **options)


@pytest.mark.parametrize("title", SESSIONS)
def test_sessions(title: str) -> None:
    assigner, options, story = SESSIONS[title]
    tell(assigner, story, bound="0ms", **options)


def test_the_order_of_the_records_makes_no_difference_within_the_grace() -> None:
    records = "A@10 B@15 C@16 D@18 E@30 F@40 G@55 H@56 I@58 J@58 K@62 L@63 M@63 N@63 O@76 P@77 Q@80 R@2 S@3 T@5 U@8"
    words = records.split()
    expected = {
        -8: "R",
        -7: "RS",
        -5: "RST",
        -2: "RSTU",
        0: "ARSTU",
        5: "ABTU",
        6: "ABCU",
        8: "ABCDU",
        20: "E",
        30: "EF",
        45: "G",
        46: "GH",
        48: "GHIJ",
        52: "GHIJK",
        53: "GHIJKLMN",
        66: "O",
        67: "OP",
        70: "OPQ",
    }
    results = "; ".join(
        f"{start}..{start + 11} of {' '.join(values)}, on time 0 last" for start, values in expected.items()
    )
    for orders in (words, words[::-1], words[::2] + words[1::2]):
        tell(LookBack("11ms"), " ->\n".join([" ".join(orders[:7]), *orders[7:], f"watermark=100 -> {results}"]))
