"""Operators on the values of each key: within a batch, and with state across batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from streamproc.arguments import check_count, check_flag, check_plain
from streamproc.dataflow.nodes import CombineByKey, MapWithState, Node, Process, StepKind, UpdateState
from streamproc.dataflow.policies import Function
from streamproc.dataflow.process import KeyedProcess
from streamproc.dataflow.stateful_nodes import RunningAggregate
from streamproc.dataflow.variables import Output, Variable, declared_in
from streamproc.durations import Duration
from streamproc.errors import PipelineError
from streamproc.streams.handle import Handle, OperatorOptions, StepOptions
from streamproc.streams.rate_limit import rate_limit
from streamproc.windowing.aggregates import Aggregate, collect, count, reducing

if TYPE_CHECKING:
    from streamproc.streams.stream import KeyedStream, ProcessResults, RateLimitedStream

__all__ = ["ByKey", "WithState"]

K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")
A = TypeVar("A")
S = TypeVar("S")
U = TypeVar("U")
R = TypeVar("R")


class ByKey(Handle, Generic[K, V]):
    """The operators on values, and on the values that a key has within a batch."""

    @overload
    def map_values(self, fn: Callable[[V], Awaitable[W]], /, **options: Unpack[StepOptions]) -> KeyedStream[K, W]: ...
    @overload
    def map_values(self, fn: Callable[[V], W], /, **options: Unpack[StepOptions]) -> KeyedStream[K, W]: ...
    def map_values(self, fn: Function, /, **options: Unpack[StepOptions]) -> KeyedStream[K, Any]:
        """Replace each value by what a function makes of it, under the same key.

        Example:
            >>> run(["ann"], lambda names: names.key_by(lambda name: name[0]).map_values(str.upper))
            [('a', 'ANN')]
        """
        return self._keyed(self._step(StepKind.MAP_VALUES, fn, options))

    @overload
    def flat_map_values(
        self, fn: Callable[[V], Awaitable[Iterable[W]]], /, **options: Unpack[StepOptions]
    ) -> KeyedStream[K, W]: ...
    @overload
    def flat_map_values(
        self, fn: Callable[[V], Iterable[W]], /, **options: Unpack[StepOptions]
    ) -> KeyedStream[K, W]: ...
    def flat_map_values(self, fn: Function, /, **options: Unpack[StepOptions]) -> KeyedStream[K, Any]:
        """Replace each value by the values that a function returns, possibly none, under the same key.

        Example:
            >>> run(["ab"], lambda words: words.key_by(len).flat_map_values(list))
            [(2, 'a'), (2, 'b')]
        """
        return self._keyed(self._step(StepKind.FLAT_MAP_VALUES, fn, options))

    def combine_by_key(
        self,
        create: Callable[[V], A],
        add: Callable[[A, V], A],
        merge: Callable[[A, A], A],
        /,
        **options: Unpack[OperatorOptions],
    ) -> KeyedStream[K, A]:
        """Combine the values of each key of a batch.

        Args:
            create: Makes a combination of a key's first value.
            add: Adds a further value to a combination and returns it.
            merge: Merges two combinations of one key, earlier one first.
            **options: See `OperatorOptions`.

        Example:
            >>> def initials(names):
            ...     return names.key_by(len).combine_by_key(str, lambda a, b: a + b[0], lambda a, b: a + b)
            >>> run(["ann", "bob"], initials)
            [(3, 'annb')]
        """
        return self._combine("combine_by_key", Aggregate("combine_by_key", create, add, merge), options)

    def reduce_by_key(self, fn: Callable[[V, V], V], /, **options: Unpack[OperatorOptions]) -> KeyedStream[K, V]:
        """Reduce the values of each key of a batch with an associative function, earlier one first.

        Example:
            >>> run([1, 2, 3], lambda numbers: numbers.key_by(lambda n: n % 2).reduce_by_key(max))
            [(1, 3), (0, 2)]
        """
        return self._combine("reduce_by_key", reducing(fn), options)

    def count_by_key(self, **options: Unpack[OperatorOptions]) -> KeyedStream[K, int]:
        """Count the values of each key of a batch.

        Example:
            >>> run(["ann", "abe"], lambda names: names.key_by(lambda name: name[0]).count_by_key())
            [('a', 2)]
        """
        return self._combine("count_by_key", count(), options)

    def group_by_key(self, **options: Unpack[OperatorOptions]) -> KeyedStream[K, list[V]]:
        """Collect the values of each key of a batch into a list.

        Example:
            >>> run([1, 2, 3], lambda numbers: numbers.key_by(lambda n: n % 2).group_by_key())
            [(1, [1, 3]), (0, [2])]
        """
        return self._combine("group_by_key", collect(), options)

    def _combine(self, kind: str, aggregate: Aggregate[V, Any, A], options: OperatorOptions) -> KeyedStream[K, A]:
        return self._keyed(self._dataflow.add(CombineByKey(**self._named(kind, options), aggregate=aggregate)))


class WithState(Handle, Generic[K, V]):
    """The operators that keep state for each key across batches.

    State is of any type that `streamproc.values` can write: numbers, text, containers, records, dataclasses.
    """

    def update_state_by_key(
        self,
        fn: Callable[[list[V], S | None], S | None],
        /,
        *,
        initial: Mapping[K, S] | None = None,
        every_batch: bool = False,
        **options: Unpack[OperatorOptions],
    ) -> KeyedStream[K, S]:
        """Compute the new state of each key from its new values and its old state; give out the new states.

        Args:
            fn: Gets a key's values of the batch, in order, and its state or None. Returns the new state, or None to
                remove the key.
            initial: The states that keys have before the first batch.
            every_batch: Whether it is called in each batch for all keys that have state, then with an empty list for
                those without new values, as Spark does; by default only for keys with new values.
            **options: See `OperatorOptions`.

        Example:
            >>> def totals(numbers):
            ...     keyed = numbers.key_by(lambda n: n % 2)
            ...     return keyed.update_state_by_key(lambda new, total: (total or 0) + sum(new))
            >>> run([[1, 2], [3]], totals)
            [(1, 1), (0, 2), (1, 4)]
        """
        named = self._stateful("update_state_by_key", options, fn=fn)
        check_flag(f"{named['name']}: every_batch", every_batch)
        if not isinstance(initial, Mapping | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"{named['name']}: initial is {initial!r}: expected a dict of states by their keys")
        node = UpdateState(**named, fn=fn, initial=dict(initial or {}), every_batch=every_batch)
        return self._keyed(self._dataflow.add(node))

    def map_with_state(
        self,
        fn: Callable[[K, V, S | None], tuple[U, S | None]],
        /,
        **options: Unpack[OperatorOptions],
    ) -> KeyedStream[K, U]:
        """Replace each value by what a function makes of it and of the key's state, which the function may change.

        Args:
            fn: Gets key, value, and the key's state or None. Returns the new value and the new state; None removes it.
            **options: See `OperatorOptions`.

        Example:
            >>> def numbered(letters):
            ...     return letters.key_by(str.lower).map_with_state(lambda k, v, n: (f"{v}{n or 0}", (n or 0) + 1))
            >>> run([["a", "A"], ["a"]], numbered)
            [('a', 'a0'), ('a', 'A1'), ('a', 'a2')]
        """
        named = self._stateful("map_with_state", options, fn=fn)
        return self._keyed(self._dataflow.add(MapWithState(**named, fn=fn)))

    def running(self, aggregate: Aggregate[V, Any, R], /, **options: Unpack[OperatorOptions]) -> KeyedStream[K, R]:
        """Aggregate all values that each key ever had; give the new results of the keys that have new values.

        State grows with the number of keys, and never shrinks: where keys come and go, aggregate in windows, or use
        `update_state_by_key`, which can remove them.

        Args:
            aggregate: How values are aggregated, such as ``count()``.
            **options: See `OperatorOptions`.

        Example:
            >>> run([["a", "b"], ["a"]], lambda letters: letters.key_by(str).running(count()))
            [('a', 1), ('b', 1), ('a', 2)]
        """
        if not isinstance(aggregate, Aggregate):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"running: expected an aggregate such as count(), got {aggregate!r}")
        node = RunningAggregate(**self._named("running", options), aggregate=aggregate)
        return self._keyed(self._dataflow.add(node))

    def rate_limit(self, n: int, /, *, per: Duration, **options: Unpack[OperatorOptions]) -> RateLimitedStream[K, V]:
        """Let at most ``n`` records of each key pass in each period; those above go to ``excess()`` of the result.

        Periods are intervals of processing time that begin at multiples of their length. All records of a batch are in
        the period that holds the last millisecond before its trigger time: so periods that are shorter than the batch
        interval let no more pass than ``n`` in a batch.

        Args:
            n: How many records.
            per: The length of a period.
            **options: See `OperatorOptions`.

        Example:
            >>> run(["a", "b", "aa"], lambda words: words.key_by(lambda w: w[0]).rate_limit(1, per="1s"))
            [('a', 'a'), ('b', 'b')]
        """
        check_count("rate_limit: n", n)
        return self._rate_limited(self._process("rate_limit", rate_limit(n, per), options))

    def process(self, function: KeyedProcess[K, V, U], /, **options: Unpack[OperatorOptions]) -> ProcessResults[K, U]:
        """Run an operator of one's own, with named state variables, timers and side outputs; see `KeyedProcess`.

        Results have the key that was current when they were made.
        """
        if not isinstance(function, KeyedProcess):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"process: expected an object of a subclass of KeyedProcess, got {function!r}")
        return self._process_results(self._process("process", function, options))

    def _process(self, kind: str, function: KeyedProcess[Any, Any, Any], options: OperatorOptions) -> Node:
        owner = type(function)
        node = Process(
            **self._stateful(kind, options, process=function.process, on_timer=function.on_timer),
            function=function,
            variables=declared_in(owner, Variable),
            outputs=declared_in(owner, Output),
        )
        return self._dataflow.add(node)

    def _stateful(self, kind: str, options: OperatorOptions, **functions: Function) -> dict[str, Any]:
        """Return the fields of a node whose functions use state: only where they are plain, each call sees the last."""
        named = self._named(kind, options)
        for what, fn in functions.items():
            check_plain(f"{named['name']}: {what}", fn)
        return named
