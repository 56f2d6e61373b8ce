"""An operator that shows what time records have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from streamproc import KeyedProcess, ProcessContext

V = TypeVar("V")


class WithTimestamp(KeyedProcess[int, V, tuple[int, V]], Generic[V]):
    """Gives each value with the timestamp that it has."""

    def process(self, context: ProcessContext[int], value: V) -> Iterable[tuple[int, V]]:
        yield context.timestamp, value
