"""Windows over streams: those of DStreams, by the length and the slide, and those of window assigners.

The operators that take a length and a slide work in batch time: a window ends at each multiple of the slide and
reaches back by its length. Length and slide are multiples of the batch interval; the slide is one interval if it isn't
given. Like in Spark, the first windows reach back to before the start, and the last ones come out as long as they hold
records. On a stream with event time the same operators follow that.
"""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from streamproc.arguments import check_plain
from streamproc.dataflow.dataflow import check_window
from streamproc.dataflow.nodes import Node, StepKind
from streamproc.dataflow.policies import Function
from streamproc.dataflow.times import in_event_time
from streamproc.dataflow.window_nodes import RollingWindow, SlicedWindow, WindowForm
from streamproc.durations import Duration
from streamproc.errors import PipelineError
from streamproc.streams.handle import Handle, OperatorOptions
from streamproc.triggers import Interval
from streamproc.windowing.aggregates import collect, reducing
from streamproc.windowing.assigners import Trailing

if TYPE_CHECKING:
    from streamproc.streams.stream import KeyedStream, Stream

__all__ = ["KeyedWindows", "Windows", "batch_time_window", "window_of_elements"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Windows(Handle, Generic[T]):
    """The window operators of any stream, by length and slide."""

    def count_by_window(
        self, length: Duration, slide: Duration | None = None, **options: Unpack[OperatorOptions]
    ) -> Stream[int]:
        """Count the elements of each window; once there was one, a window without any gives 0.

        Example:
            >>> run([["a"], ["b", "c"]], lambda letters: letters.count_by_window("1s"), interval="500ms", batches=4)
            [1, 3, 2, 0]
        """
        ones = self._stream(self._step(StepKind.MAP, _to_one, {}))
        named = ones._named("count_by_window", options)
        window = batch_time_window(self, length, slide)
        return self._stream(self._dataflow.add(_reduced(named, window, operator.add, operator.sub, None, keyed=False)))

    def reduce_by_window(
        self,
        fn: Callable[[T, T], T],
        length: Duration,
        slide: Duration | None = None,
        *,
        inverse: Callable[[T, T], T] | None = None,
        **options: Unpack[OperatorOptions],
    ) -> Stream[T]:
        """Reduce the elements of each window with an associative function.

        Args:
            fn: Reduces two elements, earlier one first.
            length: The length of a window.
            slide: The distance between windows.
            inverse: Takes the second element out of the first: windows are then kept up to date by what enters and what
                leaves, and, once there was an element, all of them give a result.
            **options: See `OperatorOptions`.

        Example:
            >>> run([[1], [5], [2]], lambda numbers: numbers.reduce_by_window(max, "1s"), interval="500ms", batches=4)
            [1, 5, 5, 2]
        """
        named = self._named("reduce_by_window", options)
        window = batch_time_window(self, length, slide)
        return self._stream(self._dataflow.add(_reduced(named, window, fn, inverse, None, keyed=False)))

    def count_by_value_and_window(
        self, length: Duration, slide: Duration | None = None, **options: Unpack[OperatorOptions]
    ) -> KeyedStream[T, int]:
        """Count how often each element is in each window.

        Example:
            >>> run([["a", "b"], ["a"]], lambda s: s.count_by_value_and_window("1s"), interval="500ms", batches=2)
            [('a', 1), ('b', 1), ('a', 2), ('b', 1)]
        """
        keyed = self._by_itself()
        ones = keyed._keyed(keyed._step(StepKind.MAP_VALUES, _to_one, {}))
        named = ones._named("count_by_value_and_window", options)
        window = batch_time_window(self, length, slide)
        return self._keyed(
            self._dataflow.add(_reduced(named, window, operator.add, operator.sub, _not_zero, keyed=True))
        )


class KeyedWindows(Handle, Generic[K, V]):
    """The window operators of a keyed stream."""

    def reduce_by_key_and_window(
        self,
        fn: Callable[[V, V], V],
        length: Duration,
        slide: Duration | None = None,
        *,
        inverse: Callable[[V, V], V] | None = None,
        keep: Callable[[K, V], bool] | None = None,
        **options: Unpack[OperatorOptions],
    ) -> KeyedStream[K, V]:
        """Reduce the values of each key in each window with an associative function.

        Args:
            fn: Reduces two values, earlier one first.
            length: The length of a window.
            slide: The distance between windows.
            inverse: Takes the second value out of the first: windows are then kept up to date by what enters and what
                leaves. As in Spark, a key then gives a result for every window from its first on.
            keep: With ``inverse`` only: whether a key with its value is kept, in results and state.
            **options: See `OperatorOptions`.

        Example:
            >>> def totals(pairs):
            ...     return pairs.key_by(lambda p: p[0]).map_values(lambda p: p[1]).reduce_by_key_and_window(max, "1s")
            >>> run([[("a", 1)], [("a", 3)]], totals, interval="500ms", batches=3)
            [('a', 1), ('a', 3), ('a', 3)]
        """
        if keep is not None and inverse is None:
            raise PipelineError(
                "reduce_by_key_and_window: keep= needs inverse=: without it no key outlives its records"
            )
        named = self._named("reduce_by_key_and_window", options)
        window = batch_time_window(self, length, slide)
        return self._keyed(self._dataflow.add(_reduced(named, window, fn, inverse, keep, keyed=True)))


def batch_time_window(stream: Handle, length: Duration, slide: Duration | None) -> Trailing:
    """Return the windows of a length and a slide, checked against the batch interval where there is no event time.

    Raises:
        PipelineError: They are no multiples of it, or there is no slide and no interval to take instead.
    """
    trigger = stream._dataflow.trigger
    if slide is None:
        if not isinstance(trigger, Interval):
            raise PipelineError(f"a window without a slide needs trigger=Interval(...), but the trigger is {trigger}")
        slide = f"{trigger.every_ms}ms"
    window = Trailing(length, slide)
    if not in_event_time(stream._node):
        check_window("the window's length", window.size_ms, trigger)
        check_window("the window's slide", window.slide_ms, trigger)
    return window


def window_of_elements(stream: Handle, length: Duration, slide: Duration | None, options: OperatorOptions) -> Node:
    """Add the DStream's ``window(length, slide)``: the elements of each window, given out when it ends."""
    named = stream._named("window", options)
    window = batch_time_window(stream, length, slide)
    trigger = stream._dataflow.trigger
    node = SlicedWindow(
        **named,
        assigner=window,
        aggregate=collect(),
        keyed=False,
        form=WindowForm.ELEMENTS,
        pairs=stream.keyed,
        slice_ms=trigger.every_ms if isinstance(trigger, Interval) else None,
    )
    return stream._dataflow.add(node)


def _reduced(
    named: dict[str, Any],
    window: Trailing,
    fn: Function,
    inverse: Function | None,
    keep: Function | None,
    *,
    keyed: bool,
) -> Node:
    """Return the node of a reduced window: kept up to date where there is an inverse, else merged from slices."""
    if inverse is None:
        aggregate = reducing(fn)
        return SlicedWindow(**named, assigner=window, aggregate=aggregate, keyed=keyed, form=WindowForm.VALUE)
    for what, function in {"fn": fn, "inverse": inverse, "keep": keep or _not_zero}.items():
        check_plain(f"{named['name']}: {what}", function)
    return RollingWindow(**named, assigner=window, fn=fn, inverse=inverse, keep=keep, keyed=keyed)


def _to_one(_element: object) -> int:
    return 1


def _not_zero(_key: object, number: int) -> bool:
    return number != 0
