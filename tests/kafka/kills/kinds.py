"""The kinds of batches that jobs are killed in, and what each gives in the end.

A job reads the numbers from 0 to `RECORDS`, keyed by their last digits. What it gives are texts that end in a random
number, on purpose: exactly-once must not depend on what functions return.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from streamproc import (
    Interval,
    KeyedProcess,
    KeyedStream,
    Once,
    ProcessContext,
    Session,
    Stream,
    Timer,
    Tumbling,
    WindowResult,
    count,
)
from streamproc.triggers import Trigger

__all__ = ["KEYS", "KINDS", "RECORDS", "Kind", "Rows", "without_random"]

RECORDS = 200
KEYS = 10
MAX_RECORDS = 40
"""How many there are in a batch at most."""
_WINDOW = 50
_LATE = 20
_PAUSE = 30
_REMINDED = 25

Rows = dict[int, list[str]]
"""What each key was given, in order."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of batch.

    Attributes:
        build: What the job does.
        expected: What it gives in the end, without the random numbers.
        trigger: When its batches begin.
        partitions: How many its input topic has.
        ordered: Whether the order of what a key is given is certain.
    """

    build: Callable[[Stream[int]], KeyedStream[int, str]]
    expected: Rows
    trigger: Trigger = field(default_factory=Once)
    partitions: int = 2
    ordered: bool = True


def without_random(rows: Rows) -> Rows:
    """Return rows without the random numbers at their ends."""
    return {key: [text.rpartition(" ")[0] for text in texts] for key, texts in sorted(rows.items())}


def last_digit(number: int) -> int:
    return number % KEYS


def with_random(text: object) -> str:
    return f"{text} {random.random()}"


def by_key(text: Callable[[int, int], str]) -> Rows:
    """Return for each key the texts of its numbers and of how many there were before."""
    return {key: [text(number, place) for place, number in enumerate(range(key, RECORDS, KEYS))] for key in range(KEYS)}


def stateless(numbers: Stream[int]) -> KeyedStream[int, str]:
    return numbers.key_by(last_digit).map_values(with_random)


def keyed_state(numbers: Stream[int]) -> KeyedStream[int, str]:
    def count_up(_key: int, number: int, before: int | None) -> tuple[str, int]:
        return with_random(f"{number} {before or 0}"), (before or 0) + 1

    return numbers.key_by(last_digit).map_with_state(count_up)


def tell(result: WindowResult[int]) -> str:
    return with_random(f"{result.start} {result.value}")


def windows(numbers: Stream[int]) -> KeyedStream[int, str]:
    """Windows over event time close while records come, in the batches that their watermark passes in."""
    timed = numbers.event_time(int, out_of_orderness=f"{_LATE}ms")
    return timed.key_by(last_digit).window(Tumbling(f"{_WINDOW}ms")).aggregate(count()).map_values(tell)


def paused(number: int) -> int:
    """Return a time that leaves a pause behind every so many numbers."""
    return number + number // _WINDOW * _PAUSE


def sessions(numbers: Stream[int]) -> KeyedStream[int, str]:
    """Sessions grow from batch to batch, and close in the pauses."""
    timed = numbers.event_time(paused, out_of_orderness=f"{_LATE}ms")
    return timed.key_by(last_digit).window(Session(f"{KEYS + 5}ms")).aggregate(count()).map_values(tell)


class Reminders(KeyedProcess[int, int, str]):
    """Sets a timer for each number; most ring in batches that have no records."""

    def process(self, context: ProcessContext[int], number: int) -> Iterable[str]:
        context.set_timer(context.time + 5 + number % 3 * 10, f"{number:03}")
        return ()

    def on_timer(self, context: ProcessContext[int], timer: Timer) -> Iterable[str]:
        yield with_random(timer.name)


def timers(numbers: Stream[int]) -> KeyedStream[int, str]:
    return numbers.key_by(last_digit).process(Reminders())


class EventReminders(KeyedProcess[int, int, str]):
    """Sets an event-time timer for each number, behind some of the numbers to come."""

    def process(self, context: ProcessContext[int], number: int) -> Iterable[str]:
        context.set_event_timer(context.timestamp + _REMINDED, f"{number}")
        return ()

    def on_timer(self, context: ProcessContext[int], timer: Timer) -> Iterable[str]:
        yield with_random(timer.name)


def event_timers(numbers: Stream[int]) -> KeyedStream[int, str]:
    return numbers.event_time(int, out_of_orderness=f"{_LATE}ms").key_by(last_digit).process(EventReminders())


_CLOSED = [start for start in range(0, RECORDS, _WINDOW) if start + _WINDOW <= RECORDS - 1 - _LATE]

KINDS = {
    "stateless": Kind(stateless, by_key(lambda number, _: f"{number}")),
    "keyed state": Kind(keyed_state, by_key(lambda number, before: f"{number} {before}")),
    "windows": Kind(
        windows, {key: [f"{start} {_WINDOW // KEYS}" for start in _CLOSED] for key in range(KEYS)}, partitions=1
    ),
    # The last one is open still.
    "sessions": Kind(
        sessions,
        {
            key: [f"{paused(start) + key} {_WINDOW // KEYS}" for start in range(0, RECORDS - _WINDOW, _WINDOW)]
            for key in range(KEYS)
        },
        partitions=1,
    ),
    "event timers": Kind(
        event_timers,
        {
            key: [f"{number}" for number in range(key, RECORDS, KEYS) if number + _REMINDED <= RECORDS - 1 - _LATE]
            for key in range(KEYS)
        },
        partitions=1,
    ),
    "timers": Kind(timers, by_key(lambda number, _: f"{number:03}"), trigger=Interval("10ms"), ordered=False),
}
