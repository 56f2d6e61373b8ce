"""The first of the records that are the same, within a time.

State layout, under the operator's name:

    seen      what the records have in common -> until when the first one stands for the others, by their time
    forget    (time, trigger time) -> the keys of ``seen`` that one batch has added and that are gone by that time
    event-time  see `streamproc.engine.operators.last_watermark`

An entry of ``seen`` is one time, or a list of times: where records are out of order by more than the time within which
they are compared, one may be the first of an earlier stretch of time than another that is known.

The keys that a batch adds are written a second time as one list for all that expire together, in steps of a hundredth
of the time and of at most a second: a list costs a fraction of what an entry for each key would. So keys stay for up to
one step longer; they stand for others no longer than they should.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from streamproc.batch import Batch
from streamproc.dataflow.stateful_nodes import Deduplicate
from streamproc.engine.failures import Failures
from streamproc.engine.operators.expiry import grid_of
from streamproc.engine.operators.good_keys import refused_rows
from streamproc.engine.operators.last_watermark import LastWatermark
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.errors import EncodeError
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME

__all__ = ["DeduplicateOperator"]

_Ends: TypeAlias = "int | list[int]"

_AT_ONCE: Final = 100_000
"""How many keys a batch forgets at most, about, so that a long downtime doesn't make one endless batch."""


class DeduplicateOperator(Operator):
    """Lets a record pass unless the first one that is the same is less than a time away from it.

    A late record is compared with what is still known: one that is late by more than that time always passes.
    """

    def __init__(self, node: Deduplicate, tables: Tables) -> None:
        self._name = node.name
        self._by = node.by
        self._within = node.within_ms
        self._step = grid_of(node.within_ms)
        self._seen = tables.table(node.name, "seen")
        self._forget = tables.table(node.name, "forget")
        self._watermark = LastWatermark(node, tables)
        self._failures = Failures(node, node.by)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows that are the first."""
        (batch,) = inputs
        before = self._watermark.get(run)
        watermark = max(before, batch.watermark.time)
        rows, keys = self._keys(run, batch)
        passed = self._firsts(run, batch, rows, keys, before)
        counts = run.counts[self._name]
        counts["dropped"] += len(rows) - len(passed)
        counts["expired"] += self._expire(watermark)
        self._watermark.moved(before, watermark)
        if len(passed) == len(batch):
            return batch
        return (batch if run.lineage else replace(batch, origins=None)).take(passed)

    def next_watermark(self) -> int | None:
        """Return the watermark at which there is something to forget."""
        first = next(iter(self._forget), None)
        return None if first is None else first[0]

    def _keys(self, run: BatchRun, batch: Batch) -> tuple[list[int], list[Any]]:
        """Return the rows that can be compared, and by what."""
        by = self._by
        rows: list[int] = []
        keys: list[Any] = []
        for row, element in enumerate(batch.rows()):
            try:
                keys.append(by(element))
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, element, batch.origins, row)
            else:
                rows.append(row)
        try:
            self._seen.load(keys)
        except (EncodeError, TypeError):
            refused = refused_rows(run, batch.take(rows), keys, self._failures, by_type=True, of_key=False)
            good = [place for place in range(len(rows)) if place not in refused]
            rows, keys = [rows[place] for place in good], [keys[place] for place in good]
            self._seen.load(keys)
        return rows, keys

    def _firsts(self, run: BatchRun, batch: Batch, rows: Sequence[int], keys: Sequence[Any], before: int) -> list[int]:
        """Return the rows that are the first, and remember them."""
        within, step = self._within, self._step
        get, put = self._seen.get, self._seen.put
        timestamps, time = batch.timestamps, run.time
        passed: list[int] = []
        added: dict[int, list[Any]] = {}
        for row, key in zip(rows, keys, strict=True):
            if timestamps is not None:
                time = timestamps[row]
            ends: _Ends | None = get(key)
            if ends is None:
                remembered: _Ends = time + within
            elif isinstance(ends, int):
                if ends - 2 * within < time < ends:
                    continue
                remembered = sorted((ends, time + within))
            else:
                if any(end - 2 * within < time < end for end in ends):
                    continue
                remembered = sorted((*ends, time + within))
            passed.append(row)
            if time + within > before:
                put(key, remembered)
                added.setdefault(-(-(time + within) // step) * step, []).append(key)
        for end, of_end in added.items():
            self._forget.put((end, run.trigger_time), of_end)
        return passed

    def _expire(self, watermark: int) -> int:
        """Forget what has expired at a watermark, and return how many first records that were of."""
        expired = looked_at = 0
        for place, keys in self._forget.items(None, (watermark + 1,)):
            self._forget.delete(place)
            self._seen.load(keys)
            for key in keys:
                ends: _Ends | None = self._seen.get(key)
                known = [] if ends is None else [ends] if isinstance(ends, int) else ends
                left = [end for end in known if end > watermark]
                expired += len(known) - len(left)
                if not left:
                    self._seen.delete(key)
                elif len(left) < len(known):
                    self._seen.put(key, left[0] if len(left) == 1 else left)
            looked_at += len(keys)
            if looked_at >= _AT_ONCE and watermark != END_OF_TIME:
                break
        return expired
