"""What happens to a record on which a user's function fails.

Operators call functions inside ``try`` blocks, which cost nothing while nothing is raised; the record that failed is
found from the exception alone. What the fast path does not carry along is where a record came from once rows were
dropped or added: an operator that needs it and doesn't have it raises `LineageNeeded`; the driver then takes back what
the batch has changed and runs it once more with ``BatchRun.lineage``.
"""

from __future__ import annotations

import functools
import reprlib
from typing import Any

from streamproc.batch import Origins
from streamproc.dataflow.nodes import Node
from streamproc.dataflow.policies import DeadLetter, DeadLetterRecord, Function
from streamproc.engine.run import BatchRun
from streamproc.errors import OperatorError

__all__ = ["Failures", "LineageNeeded", "location"]

_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxdict, _SHORT.maxlist, _SHORT.maxtuple = 200, 300, 10, 10, 10


class LineageNeeded(Exception):  # noqa: N818 - it is a request, not an error
    """A record failed whose origin was not kept: run the batch again with lineage."""


class Failures:
    """Applies the error policy of one operator.

    Args:
        node: The operator.
        fn: The user's function, or None where the failure is in a decoder or encoder.
    """

    def __init__(self, node: Node, fn: Function | None) -> None:
        self._operator = node.name
        self._policy = node.on_error
        self._fn = fn
        self._of_pairs = node.of_pairs

    @property
    def forgiving(self) -> bool:
        """Whether the job goes on when a record fails."""
        return self._policy != "fail"

    def handle(
        self,
        run: BatchRun,
        error: Exception,
        value: Any,
        origins: Origins | None,
        index: int = 0,
        *,
        of_key: bool = False,
    ) -> None:
        """Skip or deliver a record that failed, or fail the job.

        Args:
            run: The batch.
            error: What the function raised.
            value: The record as the function got it.
            origins: The origins of the operator's input.
            index: The record's row in it.
            of_key: Whether no function has failed, but the record's key can be none.

        Raises:
            OperatorError: The policy is to fail.
            LineageNeeded: The record's origin isn't known, but could be.
        """
        if isinstance(error, OperatorError):
            raise error
        if origins is None and not run.lineage:
            raise LineageNeeded from error
        position = None if origins is None else str(origins[index])
        what = _text(error)
        if isinstance(self._policy, DeadLetter):
            record = DeadLetterRecord(value, what, self._operator, position, run.trigger_time)
            run.dead_letters.setdefault(self._policy, []).append(record)
        elif self._policy == "skip":
            run.skipped[self._operator] += 1
            run.skipped_first.setdefault(self._operator, f"{what} at {position or 'an unknown position'}")
        else:
            raise OperatorError(self._message(what, value, position, of_key=of_key)) from error

    def _message(self, what: str, value: Any, position: str | None, *, of_key: bool) -> str:
        function = "none: it is the record's key, which key_by() has given it" if of_key else location(self._fn)
        pair = ", a pair of key and value, as the stream is keyed" if self._of_pairs else ""
        return (
            f"operator {self._operator!r} failed on a record: {what}\n"
            f"  function: {function}\n"
            f"  position: {position or 'not known behind an aggregation'}\n"
            f"  record:   {_SHORT.repr(value)}{pair}\n"
            f'To go on without such records: on_error="skip", or on_error=dead_letter(sink) to keep them.'
        )


def _text(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the __str__ of somebody's exception class
        return type(error).__name__


def location(fn: Function | None) -> str:
    """Return a function's name, file and line, as far as they are known."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if fn is None:
        return "the codec"
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    code = getattr(fn, "__code__", None) or getattr(getattr(type(fn), "__call__", None), "__code__", None)  # noqa: B004
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name
