"""Lists of several records, given when they are full or have waited for long enough.

State layout, under the operator's name:

    open     key -> (how many elements wait, in how many parts, until when: None for ever)
    waiting  (key, number of the part) -> elements that came in one batch

and a timer for each list that is to wait no longer. So an element is written once, however long its list gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.stateful_nodes import GatherLists
from streamproc.engine.failures import Failures
from streamproc.engine.operators.good_keys import with_good_keys
from streamproc.engine.operators.operator import Operator, Reach
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME, Watermark

__all__ = ["GatherListsOperator"]


class GatherListsOperator(Operator):
    """Gathers the records of each key, or all, into lists; their time is that of the batch that gives them.

    In each batch come first the new elements, then the lists whose time has come; when time ends, all that wait.
    """

    def __init__(self, node: GatherLists, tables: Tables) -> None:
        self._n = node.n
        self._within = node.within_ms
        self._keyed = node.keyed
        self._open = tables.table(node.name, "open")
        self._waiting = tables.table(node.name, "waiting")
        self._timers = tables.timers(node.name)
        self._failures = Failures(node, None)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the lists that are full or have waited for long enough."""
        (batch,) = inputs
        results: list[tuple[Any, list[Any]]] = []
        added = self._by_key(run, batch)
        self._load([key for key, elements in added.items() if self._head(key)[0] + len(elements) >= self._n])
        for key, elements in added.items():
            results += self._add(key, elements, run.trigger_time)
        results += self._take_all([key for _, key, _ in self._timers.due(run.trigger_time)])
        ended = batch.watermark.time == END_OF_TIME
        if ended:
            results += self._take_all(list(self._open))
        return Batch(
            [elements for _, elements in results],
            [key for key, _ in results] if self._keyed else None,
            watermark=batch.watermark if ended else Watermark(run.trigger_time),
        )

    def next_due(self) -> int | None:
        """Return when the next list has waited for long enough."""
        return self._timers.next()

    def reaches(self, watermark: int, inputs: Sequence[Reach]) -> int | None:
        """Return the watermark itself, as it is the trigger time."""
        return watermark

    def _by_key(self, run: BatchRun, batch: Batch) -> dict[Any, list[Any]]:
        """Return the new elements of each key."""
        if not self._keyed:
            return {None: batch.values} if batch.values else {}
        batch = with_good_keys(run, batch, self._failures, self._open.load)
        found: dict[Any, list[Any]] = {}
        for key, value in zip(batch.keys or (), batch.values, strict=True):
            found.setdefault(key, []).append(value)
        return found

    def _add(self, key: Any, elements: list[Any], now: int) -> Iterable[tuple[Any, list[Any]]]:
        """Add the elements of a batch to a key's list, and return those that get full."""
        count, parts, until = self._head(key)
        if count + len(elements) >= self._n:
            elements = [*self._take(key), *elements] if count else elements
            full = len(elements) - len(elements) % self._n
            lists = [(key, elements[start : start + self._n]) for start in range(0, full, self._n)]
            elements = elements[full:]
            count = parts = 0
        else:
            lists = []
        if elements:
            if not count:
                until = None if self._within is None else now + self._within
                if until is not None:
                    self._timers.add(until, key)
            self._waiting.put((key, parts), list(elements))
            self._open.put(key, (count + len(elements), parts + 1, until))
        return lists

    def _take_all(self, keys: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
        """Return the elements of some keys that wait; they are gone then."""
        self._open.load(keys)
        self._load(keys)
        return [(key, self._take(key)) for key in keys]

    def _take(self, key: Any) -> list[Any]:
        _, parts, until = self._head(key)
        places = [(key, number) for number in range(parts)]
        elements = [element for place in places for element in self._waiting.get(place) or ()]
        for place in places:
            self._waiting.delete(place)
        self._open.delete(key)
        if until is not None:
            self._timers.remove(until, key)
        return elements

    def _load(self, keys: Iterable[Any]) -> None:
        """Bring what waits of some keys into the cache in one read."""
        self._waiting.load((key, number) for key in keys for number in range(self._head(key)[1]))

    def _head(self, key: Any) -> tuple[int, int, int | None]:
        return self._open.get(key) or (0, 0, None)
