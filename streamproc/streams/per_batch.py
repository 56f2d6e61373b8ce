"""Operators that look at a whole batch, as on the RDDs of a DStream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from streamproc.dataflow.nodes import AggregateBatch, BatchFunction, CombineByKey
from streamproc.dataflow.policies import Function
from streamproc.streams.handle import Handle, OperatorOptions, StepOptions, async_options
from streamproc.windowing.aggregates import count, reducing

if TYPE_CHECKING:
    from streamproc.streams.stream import KeyedStream, Stream

__all__ = ["PerBatch"]

T = TypeVar("T")
U = TypeVar("U")


class PerBatch(Handle, Generic[T]):
    """The per-batch operators of a stream."""

    def count(self, **options: Unpack[OperatorOptions]) -> Stream[int]:
        """Count the elements of each batch; a batch without any gives 0.

        Example:
            >>> run(["a", "b"], lambda letters: letters.count())
            [2]
        """
        named = self._named("count", options)
        return self._stream(self._dataflow.add(AggregateBatch(**named, aggregate=count(), empty=int)))

    def reduce(self, fn: Callable[[T, T], T], /, **options: Unpack[OperatorOptions]) -> Stream[T]:
        """Reduce each batch to one element with an associative function; a batch without any gives none.

        Example:
            >>> run([3, 9, 4], lambda numbers: numbers.reduce(max))
            [9]
        """
        named = self._named("reduce", options)
        return self._stream(self._dataflow.add(AggregateBatch(**named, aggregate=reducing(fn))))

    def count_by_value(self, **options: Unpack[OperatorOptions]) -> KeyedStream[T, int]:
        """Count how often each element is in the batch.

        Example:
            >>> run(["a", "b", "a"], lambda letters: letters.count_by_value())
            [('a', 2), ('b', 1)]
        """
        keyed = self._by_itself()
        return self._keyed(
            self._dataflow.add(CombineByKey(**keyed._named("count_by_value", options), aggregate=count()))
        )

    @overload
    def transform(
        self, fn: Callable[[list[T]], Awaitable[Iterable[U]]], /, **options: Unpack[StepOptions]
    ) -> Stream[U]: ...
    @overload
    def transform(self, fn: Callable[[list[T]], Iterable[U]], /, **options: Unpack[StepOptions]) -> Stream[U]: ...
    def transform(self, fn: Function, /, **options: Unpack[StepOptions]) -> Stream[Any]:
        """Replace each batch by what a function makes of the list of its elements; called for empty batches too.

        The list is the function's own. Results have the time of the batch.

        Example:
            >>> run([3, 1, 2], lambda numbers: numbers.transform(sorted))
            [1, 2, 3]
        """
        return self._batch_function("transform", fn, options, whole=True)

    @overload
    def map_partitions(
        self, fn: Callable[[Iterator[T]], Awaitable[Iterable[U]]], /, **options: Unpack[StepOptions]
    ) -> Stream[U]: ...
    @overload
    def map_partitions(
        self, fn: Callable[[Iterator[T]], Iterable[U]], /, **options: Unpack[StepOptions]
    ) -> Stream[U]: ...
    def map_partitions(self, fn: Function, /, **options: Unpack[StepOptions]) -> Stream[Any]:
        """Replace the elements of each batch that are on one shard by what a function makes of an iterator over them.

        For work that has a cost a batch, such as opening a connection. Not called for empty batches.

        Example:
            >>> run([1, 2, 3], lambda numbers: numbers.map_partitions(lambda part: [sum(part)]))
            [6]
        """
        return self._batch_function("map_partitions", fn, options, whole=False)

    def _batch_function(self, kind: str, fn: Function, options: StepOptions, *, whole: bool) -> Stream[Any]:
        named = self._named(kind, options)
        run_async = async_options(named["name"], options, fn)
        return self._stream(self._dataflow.add(BatchFunction(**named, fn=fn, whole=whole, run_async=run_async)))
