"""Operators with expiring state and timers of both clocks, for random pipelines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streamproc import KeyedProcess, KeyedStream, List, Map, Output, ProcessContext, Timer, Value, count

__all__ = ["deduplicated", "gathered", "largest", "limited", "remembered", "running_counts"]

Keyed = KeyedStream[Any, Any]


class Remembers(KeyedProcess[Any, Any, str]):
    """Uses variables of all kinds that expire, event-time timers that set further ones, and a side output."""

    seen = Value(int, default=0, ttl="900ms", ttl_by="event")
    last = List(str, ttl="700ms")
    kinds = Map(str, int, ttl="600ms", ttl_by="event", renew="read")
    aside = Output(str)

    def process(self, context: ProcessContext[Any], value: Any) -> Iterable[str]:
        seen, kinds = context.value(self.seen), context.map(self.kinds)
        seen.set(seen.get() + 1)
        context.list(self.last).append(repr(value))
        kind = repr(value)[-1:]
        kinds.put(kind, (kinds.get(kind) or 0) + 1)
        context.set_event_timer(context.timestamp + 400, "first")
        if seen.get() % 4 == 3:
            context.clear_event_timer(context.timestamp + 400, "first")
            context.output(self.aside, f"cleared {value!r}")
        if seen.get() % 5 == 4:
            raise ValueError(value)
        yield self.shown(context)

    def on_timer(self, context: ProcessContext[Any], timer: Timer) -> Iterable[str]:
        if timer.name == "first":
            context.set_event_timer(timer.time + 300, "second")
        else:
            context.list(self.last).clear()
        yield f"{timer} {self.shown(context)}"

    def shown(self, context: ProcessContext[Any]) -> str:
        seen, last, kinds = context.value(self.seen), context.list(self.last), context.map(self.kinds)
        return f"{seen.get()} {list(last)} {dict(kinds.items())}"


def remembered(keyed: Keyed) -> Keyed:
    results = keyed.process(Remembers())
    return results.union(results.output(Remembers.aside))


def deduplicated(keyed: Keyed) -> Keyed:
    return keyed.deduplicate(by=repr, within="700ms")


def gathered(keyed: Keyed) -> Keyed:
    return keyed.batch(3, within="900ms")


def limited(keyed: Keyed) -> Keyed:
    passed = keyed.rate_limit(2, per="1s")
    return passed.map_values(repr).union(passed.excess().map_values(lambda value: f"above {value!r}"))


def running_counts(keyed: Keyed) -> Keyed:
    return keyed.running(count())


def largest(keyed: Keyed) -> Keyed:
    return keyed.top_k(3, by=repr).flat_map(list).key_by(lambda pair: pair[0]).map_values(lambda pair: pair[1])
