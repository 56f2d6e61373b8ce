"""Random pipelines for simulation: any chain of operators that fits together, on random input, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from streamproc import (
    AfterCount,
    AfterDelay,
    App,
    Asap,
    AtWatermark,
    Count,
    Interval,
    KeyedProcess,
    KeyedStream,
    List,
    LookBack,
    Map,
    ProcessContext,
    Session,
    Settings,
    Sliding,
    Stream,
    Timer,
    Tumbling,
    Value,
    collect,
    count,
    dead_letter,
    mean_of,
)
from streamproc.connectors.files import FileSink, Ndjson, Roll
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.triggers import Trigger
from tests.simulation.stateful import deduplicated, gathered, largest, limited, remembered, running_counts

Numbers = Stream[int]
Keyed = KeyedStream[Any, Any]


class Pipeline:
    """An app built from a seed, on fresh sources and sinks: two with the same seed do the same.

    Args:
        seed: Chooses everything.
        directory: For the sinks that write files.
    """

    def __init__(self, seed: int, directory: Path) -> None:
        self.random = random.Random(seed)
        choose = self.random
        self.directory = directory
        self.memory: list[MemorySink[Any]] = []
        self.sources: list[MemorySource[int]] = []
        self.description: list[str] = []
        trigger: Trigger = Asap() if choose.random() < 0.3 else Interval("500ms")
        self._clocked = isinstance(trigger, Interval)
        self.app = App(
            "sim",
            trigger=trigger,
            settings=Settings(
                # Behind a limit, what is left over waits for the next interval if a crash comes between: the records
                # are the same, their batch times are not.
                max_records=1000 if isinstance(trigger, Interval) else choose.choice([2, 5, 1000]),
                max_in_flight=choose.choice([1, 2, 3]),
                cache_bytes=choose.choice([0, 2_000, 1_000_000]),
            ),
            on_error=choose.choice(["skip", dead_letter(self._sink())]),
        )
        for _ in range(choose.choice([1, 1, 2])):
            source = MemorySource[int]()
            self.sources.append(source)
            self._finish(self._stateless(self.app.source(source)))
        self.driver = Driver(self.app)

    @property
    def outlives_its_input(self) -> bool:
        """Whether something comes out without input: then the last batch, which a restart runs again, can be seen."""
        return bool({fn.__name__ for fn in (batch_count, totals_of_all, alarms)} & set(self.description))

    def _sink(self) -> MemorySink[Any]:
        sink = MemorySink[Any]()
        self.memory.append(sink)
        return sink

    def _pick(self, *operators: Callable[[Any], Any]) -> Callable[[Any], Any]:
        operator = self.random.choice(operators)
        self.description.append(operator.__name__)
        return operator

    def _stateless(self, stream: Numbers) -> Numbers:
        for _ in range(self.random.randrange(4)):
            stream = self._pick(plus, odd, spread, fail_on_seven, awaited, halves, unioned, sorted_batch)(stream)
        return stream

    def _finish(self, stream: Numbers) -> None:
        for _ in range(self.random.choice([1, 1, 2])):
            if self.random.random() < 0.3:
                out: Any = self._pick(
                    rolling_count,
                    last_elements,
                    event_windows,
                    event_sessions,
                    early_event_windows,
                    *([batch_count] if self._clocked else []),
                )(stream)
            else:
                keyed: Keyed = stream.key_by(lambda n: n % 3)
                for _ in range(self.random.choice([1, 1, 2])):
                    keyed = self._pick(
                        totals,
                        *([totals_of_all] if self._clocked else []),
                        numbered,
                        alarms,
                        reduced,
                        tumbling,
                        sliding,
                        sessions,
                        early_windows,
                        looking_back,
                        every_third,
                        rolling,
                        value_counts,
                        joined,
                        remembered,
                        deduplicated,
                        gathered,
                        limited,
                        running_counts,
                        largest,
                    )(keyed)
                out = keyed
            if self.random.random() < 0.25:
                directory = self.directory / f"out-{len(self.description)}"
                roll = self.random.choice([None, Roll(size_bytes=200), Roll(every="2s")])
                out.to(FileSink(directory, format=Ndjson(), roll=roll))
            else:
                out.to(self._sink())

    def output(self) -> list[list[str]]:
        """Return what each sink has made visible, in order, as text."""
        in_memory = [[repr(value) for value in sink.values] for sink in self.memory]
        in_files = [
            [line for part in sorted(directory.glob("part-*")) for line in part.read_text().splitlines()]
            for directory in sorted(self.directory.glob("out-*"))
        ]
        return in_memory + in_files


def plus(stream: Numbers) -> Numbers:
    return stream.map(lambda n: n + 1)


def odd(stream: Numbers) -> Numbers:
    return stream.filter(lambda n: n % 2 == 1)


def spread(stream: Numbers) -> Numbers:
    return stream.flat_map(lambda n: range(n % 4))


def fail_on_seven(stream: Numbers) -> Numbers:
    return stream.map(lambda n: n if n % 7 else n // 0)


def awaited(stream: Numbers) -> Numbers:
    async def double(n: int) -> int:
        return n * 2

    return stream.map(double, concurrency=3)


def halves(stream: Numbers) -> Numbers:
    small, large = stream.branch(lambda n: n < 10)
    return small.union(large.map(lambda n: n - 10))


def unioned(stream: Numbers) -> Numbers:
    return stream.union(stream.map(lambda n: -n))


def sorted_batch(stream: Numbers) -> Numbers:
    return stream.transform(sorted)


def batch_count(stream: Numbers) -> Numbers:
    return stream.filter(lambda n: n > 2).count()


def rolling_count(stream: Numbers) -> Numbers:
    return stream.count_by_window("1500ms", "500ms")


def last_elements(stream: Numbers) -> Numbers:
    return stream.window("1s", "500ms")


def event_windows(stream: Numbers) -> Stream[Any]:
    timed = stream.event_time(lambda n: 1_000 + n * 100, out_of_orderness="500ms")
    return timed.window(Sliding("2s", every="1s")).aggregate(count())


def event_sessions(stream: Numbers) -> Stream[Any]:
    timed = stream.event_time(lambda n: 1_000 + abs(n) * 100, out_of_orderness="500ms")
    return timed.window(Session("300ms", at_most="2s"), allowed_lateness="1s", panes="retracting").aggregate(collect())


def early_event_windows(stream: Numbers) -> Stream[Any]:
    timed = stream.event_time(lambda n: 1_000 + abs(n) * 100, out_of_orderness="500ms")
    trigger = AtWatermark(early=AfterDelay("700ms"), late=AfterCount(2))
    results = timed.window(Tumbling("1s"), trigger=trigger, allowed_lateness="1s", panes="discarding").aggregate(
        count()
    )
    return results.map(repr).union(results.late().map(repr))


def totals(keyed: Keyed) -> Keyed:
    return keyed.update_state_by_key(lambda new, before: (before or 0) + len(new))


def totals_of_all(keyed: Keyed) -> Keyed:
    def decay(new: list[Any], before: int | None) -> int | None:
        after = (before or 0) - 1 + 3 * len(new)
        return after if after > 0 else None

    return keyed.update_state_by_key(decay, every_batch=True, initial={0: 4, 1: 2})


def numbered(keyed: Keyed) -> Keyed:
    def number(_key: Any, value: Any, before: int | None) -> tuple[tuple[Any, int], int | None]:
        after = (before or 0) + 1
        return (value, after), after if after < 5 else None

    return keyed.map_with_state(number)


class Alarms(KeyedProcess[Any, Any, str]):
    """Uses all kinds of state, and timers that set timers."""

    seen = Value(int, default=0)
    last = List(str)
    kinds = Map(str, int)

    def process(self, context: ProcessContext[Any], value: Any) -> Iterable[str]:
        seen = context.value(self.seen)
        seen.set(seen.get() + 1)
        context.list(self.last).append(repr(value))
        kinds = context.map(self.kinds)
        kind = type(value).__name__
        kinds.put(kind, (kinds.get(kind) or 0) + 1)
        if seen.get() == 1:
            context.set_timer(context.time + 700, "first")
        return ()

    def on_timer(self, context: ProcessContext[Any], timer: Timer) -> Iterable[str]:
        last = context.list(self.last)
        yield f"{timer} {context.value(self.seen).get()} {list(last)} {list(context.map(self.kinds).items())}"
        if timer.name == "first":
            context.set_timer(timer.time + 900, "second")
        else:
            last.clear()
            context.value(self.seen).clear()
            context.map(self.kinds).remove("int")


def alarms(keyed: Keyed) -> Keyed:
    return keyed.process(Alarms())


def reduced(keyed: Keyed) -> Keyed:
    return keyed.map_values(repr).reduce_by_key(lambda a, b: f"{a},{b}")


def tumbling(keyed: Keyed) -> Keyed:
    return keyed.map_values(repr).window(Tumbling("1s")).aggregate(collect())


def sliding(keyed: Keyed) -> Keyed:
    return (
        keyed.map_values(lambda v: float(len(repr(v))))
        .window(Sliding("1500ms", every="500ms"))
        .aggregate(mean_of(lambda v: v))
    )


def sessions(keyed: Keyed) -> Keyed:
    return keyed.window(Session("700ms"), trigger=AtWatermark(early=AfterCount(3))).aggregate(count())


def early_windows(keyed: Keyed) -> Keyed:
    return keyed.map_values(repr).window(Tumbling("2s"), emit="update", panes="retracting").aggregate(collect())


def looking_back(keyed: Keyed) -> Keyed:
    return keyed.map_values(repr).window(LookBack("1200ms")).aggregate(collect())


def every_third(keyed: Keyed) -> Keyed:
    return keyed.map_values(repr).window(Count(4, every=3)).aggregate(collect())


def rolling(keyed: Keyed) -> Keyed:
    return keyed.map_values(lambda v: 1).reduce_by_key_and_window(
        lambda a, b: a + b, "2s", "1s", inverse=lambda a, b: a - b, keep=lambda key, value: value > 0
    )


def value_counts(keyed: Keyed) -> Keyed:
    return keyed.map(repr).count_by_value_and_window("1s", "500ms")


def joined(keyed: Keyed) -> Keyed:
    lengths = keyed.map_values(lambda v: len(repr(v))).reduce_by_key(max)
    return keyed.map_values(repr).left_outer_join(lengths)
