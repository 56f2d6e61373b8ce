"""The process behind ``rate_limit``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streamproc.dataflow.process import KeyedProcess, ProcessContext
from streamproc.dataflow.variables import Output, Value
from streamproc.durations import Duration, to_ms

__all__ = ["rate_limit"]


def rate_limit(n: int, per: Duration) -> KeyedProcess[Any, Any, Any]:
    """Return the process that lets ``n`` records of each key pass in each period.

    A period is an interval of processing time that begins at a multiple of its length. How many have passed is kept
    until the period is certainly over.
    """
    length = to_ms(per, what="the period of a rate limit")

    class RateLimit(KeyedProcess[Any, Any, Any]):
        passed = Value(tuple[int, int], default=(0, 0), ttl=per)
        """The period, by its beginning, and how many have passed in it."""
        excess = Output(object)

        def process(self, context: ProcessContext[Any], value: Any, /) -> Iterable[Any]:
            # The batch of a trigger time holds what came in the interval that ends there.
            period = (context.time - 1) // length * length
            passed = context.value(self.passed)
            began, count = passed.get()
            if began != period:
                count = 0
            if count >= n:  # more, if the limit was higher before a restart
                context.output(self.excess, value)
                return ()
            passed.set((period, count + 1))
            return (value,)

    return RateLimit()
