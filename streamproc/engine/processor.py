"""Runs the operators of a plan over one batch."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import Node
from streamproc.dataflow.times import in_batch_time, sources_asked_for_times, sources_with_event_time
from streamproc.engine.assembly import assemble, keeps_lineage
from streamproc.engine.explanation import WindowExplanation
from streamproc.engine.failures import LineageNeeded
from streamproc.engine.inputs import Taken
from streamproc.engine.operators.event_time import EventTimeOperator
from streamproc.engine.operators.operator import AsyncOperator, OperatorContext, Reach, Windowed, all_reach
from streamproc.engine.operators.pass_through import SideOutputOperator
from streamproc.engine.operators.windows.counted import CountWindowOperator
from streamproc.engine.run import BatchRun
from streamproc.errors import EncodeError, OperatorError, PipelineError
from streamproc.eventtime.clock import Clock
from streamproc.eventtime.partitions import EventTimeProgress, PartitionProgress
from streamproc.metrics import JobMetrics
from streamproc.state.keys import encode_key
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME, START_OF_TIME

__all__ = ["Processor"]

log = logging.getLogger("streamproc.engine")


class Processor:
    """Runs each operator once a batch, inputs first.

    A batch whose failed record can't be placed is run a second time with lineage; what the first attempt changed in
    tables is taken back before. User functions may then see a record again: their results of the first attempt are
    thrown away.
    """

    def __init__(self, nodes: Sequence[Node], context: OperatorContext, metrics: JobMetrics) -> None:
        self._tables: Tables = context.tables
        self._clock: Clock = context.clock
        self._metrics = metrics
        self._lineage = keeps_lineage(nodes)
        self._timed = sources_asked_for_times(nodes)
        self._tracked = sources_with_event_time(nodes)
        self._operators = [
            (node.name, tuple(source.name for source in node.inputs), assemble(node, context)) for node in nodes
        ]

        self._in_batch_time = {node.name for node in nodes if in_batch_time(node)}
        self._sources_of = {name: sources for name, sources, _ in self._operators}
        self._operator_named = {name: operator for name, _, operator in self._operators}

    async def process(self, taken: Taken, trigger_time: int, *, final: bool) -> BatchRun:
        """Run a batch through all operators, and return what there is to commit besides the tables.

        Raises:
            OperatorError: A user's function failed, and its operator's policy is to fail.
        """
        sources = taken.as_batches(trigger_time, final=final, timed=self._timed, tracked=self._tracked)
        run = BatchRun(trigger_time, sources, taken.caught_up, taken.ended, lineage=self._lineage)
        try:
            await self._attempt(run)
        except LineageNeeded:
            self._tables.rollback()
            self._metrics.reruns += 1
            run = BatchRun(trigger_time, sources, run.caught_up, run.ended, lineage=True)
            await self._attempt(run)
        return run

    async def _attempt(self, run: BatchRun) -> None:
        batches: dict[str, Batch] = {}
        counts: list[tuple[str, int, int, float]] = []
        for name, sources, operator in self._operators:
            inputs = [batches[source] for source in sources]
            began = self._clock.monotonic()
            try:
                if isinstance(operator, AsyncOperator):
                    batch = await operator.process(run, inputs)
                else:
                    batch = operator.process(run, inputs)
            except (LineageNeeded, OperatorError):
                raise
            except Exception as error:
                # Something that no error policy knows: a trigger of the user's own, a program error.
                error.add_note(f"in the operator {name!r}")
                raise
            batches[name] = batch
            counts.append((name, sum(map(len, inputs)), len(batch), self._clock.monotonic() - began))
        for name, records_in, records_out, seconds in counts:
            self._metrics.operator(name).add(records_in, records_out, seconds)

    def next_due(self) -> int | None:
        """Return the earliest trigger time at which an operator has something to do without records, or None."""
        times: list[int | None] = []
        reaches = self._reaches()
        for _, sources, operator in self._operators:
            times.append(operator.next_due())
            watermark = operator.next_watermark()
            if watermark is not None:
                times.append(all_reach(watermark, [reaches[source] for source in sources]))
        return min((time for time in times if time is not None), default=None)

    def _reaches(self) -> dict[str, Reach]:
        """Return for each operator what tells when the watermark of its output is at a time."""
        reaches: dict[str, Reach] = {}
        for name, inputs, operator in self._operators:
            # What is put aside has the watermark of the input, not that of results.
            sources = self._sources_of[inputs[0]] if isinstance(operator, SideOutputOperator) else inputs
            reaches[name] = functools.partial(operator.reaches, inputs=[reaches[source] for source in sources])
        return reaches

    @property
    def progress(self) -> dict[str, EventTimeProgress]:
        """How far the stream and the partitions have come that each ``event_time`` reads, by its name."""
        return {
            name: EventTimeProgress(operator.watermark, operator.progress())
            for name, _, operator in self._operators
            if isinstance(operator, EventTimeOperator)
        }

    def explain_window(self, key: Any, time: int, operator: str | None) -> list[WindowExplanation]:
        """Return why the windows of a key that hold a time are open or not, those of one operator or of all.

        Raises:
            PipelineError: There is no such window operator, or its windows have no times; or state can't have the key.
        """
        windowed = {name: each for name, _, each in self._operators if isinstance(each, Windowed)}
        counting = [name for name, _, each in self._operators if isinstance(each, CountWindowOperator)]
        if operator in counting or (operator is None and counting and not windowed):
            raise PipelineError(
                f"explain_window: windows of {operator or ' and '.join(counting)} are of so many records, whenever "
                "these come: no time is in them"
            )
        if not windowed or (operator is not None and operator not in windowed):
            named = "" if operator is None else f" is named {operator!r}"
            expected = f"expected {' or '.join(map(repr, windowed))}" if windowed else "there are none in the pipeline"
            raise PipelineError(f"explain_window: no window operator{named}: {expected}")
        chosen = windowed if operator is None else {operator: windowed[operator]}
        if any(each.keyed for each in chosen.values()):
            try:
                encode_key(key)
            except EncodeError as error:
                raise PipelineError(f"explain_window: {error}") from None
        reaches = self._reaches()
        found: list[WindowExplanation] = []
        for name, each in chosen.items():
            through = each.through
            of_key = key if each.keyed else None
            for state in each.windows_at(of_key, time):
                watermark = None if through == START_OF_TIME else through
                if state.gives_at == END_OF_TIME:
                    # No partition that goes on brings it there.
                    holders, due_at = list[PartitionProgress](), None
                else:
                    holders = self._holders(name)
                    due_at = all_reach(state.gives_at, [reaches[source] for source in self._sources_of[name]])
                found.append(WindowExplanation(name, of_key, each.keyed, state, watermark, holders, due_at))
        return found

    def _holders(self, name: str) -> list[PartitionProgress]:
        """Return the partitions that hold the watermark of an operator's input."""
        behind: list[str] = [name]
        progress: list[list[PartitionProgress]] = []
        while behind:
            source = behind.pop()
            operator = self._operator_named[source]
            if isinstance(operator, EventTimeOperator):
                progress.append(operator.progress())
            elif source not in self._in_batch_time:
                behind += self._sources_of[source]
        holders = [each for group in progress for each in group if each.holds]
        earliest = min((_own(each) for each in holders), default=0)
        return [each for each in holders if _own(each) == earliest]

    def count(self, run: BatchRun) -> None:
        """Count and log the records of a batch that failed or came late."""
        for name, skipped in run.skipped.items():
            self._metrics.operator(name).skipped += skipped
            log.warning(
                "skipped records that failed",
                extra={"operator": name, "records": skipped, "first_error": run.skipped_first[name]},
            )
        delivered = Counter(record.operator for records in run.dead_letters.values() for record in records)
        for name, records in delivered.items():
            self._metrics.operator(name).dead_letters += records
            log.warning("delivered records that failed to dead letters", extra={"operator": name, "records": records})
        for name, counts in run.counts.items():
            operator = self._metrics.operator(name)
            for what, count in counts.items():
                setattr(operator, what, getattr(operator, what) + count)
            if counts["late"]:
                log.warning("records came late", extra={"operator": name, "records": counts["late"]})


def _own(progress: PartitionProgress) -> int:
    return START_OF_TIME if progress.watermark is None else progress.watermark
