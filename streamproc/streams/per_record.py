"""Operators that look at one record at a time. Each takes a plain or an ``async def`` function."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, Unpack, overload

from streamproc.arguments import check_plain
from streamproc.dataflow.nodes import EventTime, Node, Repartition, Split, StepKind
from streamproc.dataflow.nodes import Union as UnionNode
from streamproc.dataflow.policies import Function
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.streams.handle import Handle, OperatorOptions, StepOptions, async_options

if TYPE_CHECKING:
    from datetime import datetime

    from streamproc.streams.stream import KeyedStream, Stream

__all__ = ["PerRecord"]

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K", bound=Hashable)

Predicate: TypeAlias = "Callable[[T], bool] | Callable[[T], Awaitable[bool]]"


class PerRecord(Handle, Generic[T]):
    """The per-record operators of a stream."""

    @overload
    def map(self, fn: Callable[[T], Awaitable[U]], /, **options: Unpack[StepOptions]) -> Stream[U]: ...
    @overload
    def map(self, fn: Callable[[T], U], /, **options: Unpack[StepOptions]) -> Stream[U]: ...
    def map(self, fn: Function, /, **options: Unpack[StepOptions]) -> Stream[Any]:
        """Replace each element by what a function makes of it.

        Example:
            >>> run([1, 2, 3], lambda numbers: numbers.map(lambda n: n * 10))
            [10, 20, 30]
        """
        return self._stream(self._step(StepKind.MAP, fn, options))

    def filter(self, predicate: Predicate[T], /, **options: Unpack[StepOptions]) -> Self:
        """Keep the elements for which a predicate holds.

        Example:
            >>> run([1, 2, 3], lambda numbers: numbers.filter(lambda n: n > 1))
            [2, 3]
        """
        return self._same(self._step(StepKind.FILTER, predicate, options))

    @overload
    def flat_map(self, fn: Callable[[T], Awaitable[Iterable[U]]], /, **options: Unpack[StepOptions]) -> Stream[U]: ...
    @overload
    def flat_map(self, fn: Callable[[T], Iterable[U]], /, **options: Unpack[StepOptions]) -> Stream[U]: ...
    def flat_map(self, fn: Function, /, **options: Unpack[StepOptions]) -> Stream[Any]:
        """Replace each element by the elements that a function returns, possibly none.

        Example:
            >>> run(["to be", "or"], lambda lines: lines.flat_map(str.split))
            ['to', 'be', 'or']
        """
        return self._stream(self._step(StepKind.FLAT_MAP, fn, options))

    @overload
    def key_by(self, fn: Callable[[T], Awaitable[K]], /, **options: Unpack[StepOptions]) -> KeyedStream[K, T]: ...
    @overload
    def key_by(self, fn: Callable[[T], K], /, **options: Unpack[StepOptions]) -> KeyedStream[K, T]: ...
    def key_by(self, fn: Function, /, **options: Unpack[StepOptions]) -> KeyedStream[Any, T]:
        """Give each element a key, which all keyed operators behind work by.

        A key is text, bytes, a number, a bool, None, or a tuple of these. Numbers that Python takes for equal but that
        are of different types, such as 1 and 1.0, must not be mixed.

        Example:
            >>> run(["ann", "abe"], lambda names: names.key_by(lambda name: name[0]))
            [('a', 'ann'), ('a', 'abe')]
        """
        return self._keyed(self._step(StepKind.KEY_BY, fn, options))

    def peek(self, fn: Callable[[T], object], /, **options: Unpack[StepOptions]) -> Self:
        """Call a function with each element for its side effect, and pass the element on.

        The function may see an element again after a crash: side effects are not exactly-once, only outputs are.

        Example:
            >>> run([1, 2], lambda numbers: numbers.peek(print))
            1
            2
            [1, 2]
        """
        return self._same(self._step(StepKind.PEEK, fn, options))

    def branch(self, *predicates: Predicate[T], **options: Unpack[StepOptions]) -> tuple[Self, ...]:
        """Divide into several streams: each element goes to the first whose predicate holds.

        Returns:
            One stream for each predicate, and a last one of the elements for which none holds.

        Example:
            >>> run([1, 2, 3], lambda numbers: numbers.branch(lambda n: n % 2 == 0)[1])
            [1, 3]
        """
        named_predicates = {str(number): predicate for number, predicate in enumerate(predicates, 1)}
        sides, rest = self._split(named_predicates, options)
        return (*sides.values(), rest)

    def split(
        self, predicates: Mapping[str, Predicate[T]], /, **options: Unpack[StepOptions]
    ) -> tuple[dict[str, Self], Self]:
        """Divide into side outputs by name: each element goes to the first whose predicate holds.

        Returns:
            The side outputs by name, and the stream of the elements for which no predicate holds.

        Example:
            >>> run([1, 2, 3], lambda numbers: numbers.split({"even": lambda n: n % 2 == 0})[0]["even"])
            [2]
        """
        if not isinstance(predicates, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"split: expected a dict of predicates by the names of outputs, got {predicates!r}")
        return self._split(dict(predicates), options)

    def repartition(self, **options: Unpack[OperatorOptions]) -> Self:
        """Spread the elements evenly over all shards of the job; with one shard they stay where they are.

        Example:
            >>> run([1, 2], lambda numbers: numbers.repartition())
            [1, 2]
        """
        return self._same(self._dataflow.add(Repartition(**self._named("repartition", options))))

    def event_time(
        self,
        fn: Callable[[T], int] | Callable[[T], datetime] | None = None,
        /,
        *,
        out_of_orderness: Duration = "0s",
        idle_after: Duration | None = "1m",
        alignment: Duration | None = None,
        max_ahead: Duration | None = None,
        **options: Unpack[OperatorOptions],
    ) -> Self:
        """Take timestamps from the elements, so that windows behind follow event time.

        The watermark of a partition is its newest timestamp less ``out_of_orderness``; that of the stream is the
        smallest of all partitions that aren't idle. It closes windows. An element without a good timestamp (of another
        type, negative, after the year 9999, too far ahead) is one on which the operator fails, and moves no watermark.

        Args:
            fn: Returns an element's time: epoch milliseconds, or a `datetime` that knows its time zone. Behind
                ``key_by`` it gets pairs of key and value. Without it the time is that which the source gives with each
                record, if it does.
            out_of_orderness: By how much an element may be older than the newest one before it in its partition.
            idle_after: After how long without an element, and with none waiting to be read, a partition doesn't hold
                the watermark back any more. When all are idle, the watermark goes on as fast as the clock, so that the
                last windows close too. None for never.
            alignment: By how much a partition may be ahead of the slowest before it is not read further for a while.
                None for any distance.
            max_ahead: By how much an element may be ahead of the clock; one record from the far future would close
                all windows. None for any.
            **options: See `OperatorOptions`.

        Example:
            >>> def per_ten(times):
            ...     return times.event_time(lambda t: t).window(Tumbling("10ms")).aggregate(count())
            >>> run([1, 4, 12], per_ten)
            [WindowResult(start=0, end=10, value=2), WindowResult(start=10, end=20, value=1)]
        """
        named = self._named("event_time", options)
        if fn is not None:
            check_plain(f"{named['name']}: fn", fn)

        def limit(duration: Duration | None, what: str, *, zero: bool = False) -> int | None:
            return None if duration is None else to_ms(duration, what=f"{what} of {named['name']}", zero=zero)

        node = EventTime(
            **named,
            fn=fn,
            out_of_orderness_ms=to_ms(out_of_orderness, what=f"out_of_orderness of {named['name']}", zero=True),
            idle_after_ms=limit(idle_after, "idle_after"),
            alignment_ms=limit(alignment, "alignment"),
            max_ahead_ms=limit(max_ahead, "max_ahead", zero=True),
            keyed=self.keyed,
        )
        return self._same(self._dataflow.add(node))

    def _united(self, others: Sequence[Handle], options: OperatorOptions) -> Node:
        """Add the node that merges this stream with others."""
        for other in others:
            self._check_together(other, "union")
        named = self._named("union", options, self._node, *(other._node for other in others))
        return self._dataflow.add(UnionNode(**named))

    def _split(self, predicates: dict[str, Function], options: StepOptions) -> tuple[dict[str, Self], Self]:
        if not predicates:
            raise PipelineError("a split without predicates: give at least one")
        named = self._named("split", options)
        run_async = async_options(named["name"], options, *predicates.values())
        node = self._dataflow.add(Split(**named, predicates=predicates, run_async=run_async))
        return {output: self._side_output(node, output) for output in predicates}, self._same(node)
