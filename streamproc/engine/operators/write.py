"""Records to the payload that a sink will publish once the batch is committed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streamproc.batch import Batch
from streamproc.dataflow.nodes import DeadLetterSink, Write
from streamproc.dataflow.policies import DeadLetterRecord
from streamproc.engine.failures import Failures
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.io.sink import SinkWriter

__all__ = ["DeadLetterOperator", "WriteOperator"]


class WriteOperator(Operator):
    """Encodes the records for a sink; record by record when that fails."""

    def __init__(self, node: Write | DeadLetterSink, writer: SinkWriter) -> None:
        self._name = node.name
        self._writer = writer
        self._failures = Failures(node, None)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Put the payload into the run; nothing comes out."""
        (batch,) = inputs
        if batch.values:
            try:
                run.outputs[self._name] = self._writer.encode(batch)
            except Exception:  # noqa: BLE001 - whatever it is, the records are tried one by one
                self._one_by_one(run, batch)
        return Batch([], watermark=batch.watermark)

    def _one_by_one(self, run: BatchRun, batch: Batch) -> None:
        good: list[int] = []
        rows = batch.rows()
        for row, element in enumerate(rows):
            try:
                self._writer.encode(batch.take([row]))
                good.append(row)
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, element, batch.origins, row)
        if good:
            run.outputs[self._name] = self._writer.encode(batch.take(good))


class DeadLetterOperator(Operator):
    """Encodes the failed records of a policy; it runs behind all other operators."""

    def __init__(self, node: DeadLetterSink, writer: SinkWriter) -> None:
        self._name = node.name
        self._policy = node.policy
        self._writer = writer
        self._write = WriteOperator(node, writer)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Put the payload into the run; nothing comes out."""
        records = list(run.dead_letters.get(self._policy, ()))
        if records:
            try:
                run.outputs[self._name] = self._writer.encode(Batch(records))
            except Exception:  # noqa: BLE001 - whatever it is, the records are tried one by one
                self._write.process(run, [Batch([self._encodable(record) for record in records])])
        return Batch([])

    def _encodable(self, record: DeadLetterRecord) -> DeadLetterRecord:
        """Return a dead letter that the sink can encode: with the record as text if it can't be written as it is."""
        try:
            self._writer.encode(Batch([record]))
        except Exception:  # noqa: BLE001 - whatever it is, text can be written
            return msgspec.structs.replace(record, value=repr(record.value))
        return record
