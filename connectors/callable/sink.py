"""`CallableSink`: calls a function with the rows of each batch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from streamproc.batch import Batch
from streamproc.errors import PipelineError, SinkError
from streamproc.io.sink import Delivery, OutboxEntry, Sink, SinkContext, SinkWriter
from streamproc.values import decode_values, encode_values

__all__ = ["BatchInfo", "CallableSink", "CallableWriter"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """Which batch a function is called with. All of it is the same when the batch is given again after a crash.

    Attributes:
        batch_id: The number of the batch in its shard; grows with gaps.
        time: Its trigger time in epoch milliseconds.
        key: An idempotency key: app, sink, shard and batch id, as text. No other batch has it.
    """

    batch_id: int
    time: int
    key: str


@dataclass(frozen=True, eq=False)
class CallableSink(Sink[T]):
    """A sink that calls a function with the rows of each batch, after the batch was committed.

    At-least-once: if a crash comes before the function has returned, it is called again with the same rows and the same
    `BatchInfo`. A function that stores `BatchInfo.key` along with what it does, in one transaction, can tell, and so
    makes it exactly-once.

    Attributes:
        fn: Called with the rows, and awaited if it returns an awaitable. It runs in the event loop: one that blocks
            should be ``async`` and use `asyncio.to_thread`. The rows of a keyed stream are ``(key, value)`` pairs.

    Example:
        >>> async def insert(rows: list[str], batch: BatchInfo) -> None:
        ...     print(batch.key, rows)
        >>> sink = CallableSink(insert)
    """

    delivery: ClassVar[Delivery] = "at_least_once"
    fn: Callable[[list[T], BatchInfo], object] | Callable[[list[T], BatchInfo], Awaitable[object]]

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise PipelineError(f"CallableSink: {self.fn!r} is no function: expected fn(rows, batch)")

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard."""
        return CallableWriter(self.fn, context)


class CallableWriter(SinkWriter):
    """Calls a function with batches.

    Args:
        fn: The function.
        context: What the engine gives.
    """

    def __init__(self, fn: Callable[[list[Any], BatchInfo], object], context: SinkContext) -> None:
        self._fn = fn
        self._name = context.name
        self._key = f"{context.app}/{context.name}/{context.shard}"

    async def start(self) -> int | None:
        """Do nothing: what the function did before is not known."""

    def encode(self, batch: Batch) -> bytes:
        """Return the rows as msgpack."""
        return encode_values(batch.rows())

    async def publish(self, entry: OutboxEntry) -> None:
        """Call the function.

        Raises:
            SinkError: The function failed; its exception is the ``__cause__``.
        """
        batch = BatchInfo(entry.batch_id, entry.time, f"{self._key}/{entry.batch_id}")
        rows = decode_values(entry.payload)
        try:
            result = self._fn(rows, batch)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            raise SinkError(
                f"sink {self._name!r}: {_describe(self._fn)} failed on batch {entry.batch_id} of {len(rows)} rows: "
                f"{type(error).__name__}: {error}; the batch is kept and given to it again at the next start"
            ) from error

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _describe(fn: Callable[..., object]) -> str:
    """Return a function's name and where it is defined, as far as it has them."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    fn = inspect.unwrap(fn)
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    code = getattr(fn, "__code__", None) or getattr(type(fn).__call__, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
