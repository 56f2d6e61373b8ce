"""``window``: by length and slide, or by an assigner; and what comes out of the latter."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

from streamproc.dataflow.dataflow import check_window
from streamproc.dataflow.nodes import SlicedWindow, WindowForm
from streamproc.dataflow.times import in_event_time
from streamproc.durations import Duration
from streamproc.errors import PipelineError
from streamproc.streams.handle import Handle, OperatorOptions
from streamproc.streams.windows import window_of_elements
from streamproc.windowing.aggregates import Aggregate, reducing
from streamproc.windowing.windows import WindowAssigner, WindowResult

if TYPE_CHECKING:
    from streamproc.streams.stream import KeyedStream, Stream

__all__ = ["KeyedWindowedStream", "WindowBy", "WindowKeyedBy", "WindowedStream"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")


class WindowBy(Handle, Generic[T]):
    """``window`` of a stream without keys."""

    @overload
    def window(self, length: WindowAssigner, /) -> WindowedStream[T]: ...
    @overload
    def window(
        self, length: Duration, slide: Duration | None = None, /, **options: Unpack[OperatorOptions]
    ) -> Self: ...
    def window(
        self,
        length: WindowAssigner | Duration,
        slide: Duration | None = None,
        /,
        **options: Unpack[OperatorOptions],
    ) -> WindowedStream[T] | Self:
        """Put the elements into windows: those of an assigner, to be aggregated, or all of each window at its end.

        With a length and a slide it is the DStream's ``window``: the elements of each window are given out again.

        Example:
            >>> run([["a"], ["b"]], lambda letters: letters.window("1s"), interval="500ms", batches=3)
            ['a', 'a', 'b', 'b']
            >>> run([["a"], ["b"]], lambda s: s.window(Tumbling("1s")).aggregate(count()), interval="500ms", batches=2)
            [WindowResult(start=0, end=1000, value=2)]
        """
        if isinstance(length, str | timedelta):
            return self._same(window_of_elements(self, length, slide, options))
        _no_slide(slide, options)
        return WindowedStream(self, length)


class WindowKeyedBy(Handle, Generic[K, V]):
    """``window`` of a keyed stream."""

    @overload
    def window(self, length: WindowAssigner, /) -> KeyedWindowedStream[K, V]: ...
    @overload
    def window(
        self, length: Duration, slide: Duration | None = None, /, **options: Unpack[OperatorOptions]
    ) -> Self: ...
    def window(
        self,
        length: WindowAssigner | Duration,
        slide: Duration | None = None,
        /,
        **options: Unpack[OperatorOptions],
    ) -> KeyedWindowedStream[K, V] | Self:
        """Put the records of each key into windows; as `WindowBy.window`.

        Example:
            >>> def per_second(names):
            ...     return names.key_by(lambda name: name[0]).window(Tumbling("1s")).aggregate(count())
            >>> run([["ann"], ["abe"]], per_second, interval="500ms", batches=2)
            [('a', WindowResult(start=0, end=1000, value=2))]
        """
        if isinstance(length, str | timedelta):
            return self._same(window_of_elements(self, length, slide, options))
        _no_slide(slide, options)
        return KeyedWindowedStream(self, length)


class WindowedStream(Generic[T]):
    """Elements in windows, waiting for an aggregate."""

    def __init__(self, stream: Handle, assigner: WindowAssigner) -> None:
        self._of = stream
        self._assigner = assigner

    def aggregate(
        self, aggregate: Aggregate[T, Any, R], /, **options: Unpack[OperatorOptions]
    ) -> Stream[WindowResult[R]]:
        """Aggregate the elements of each window; the result comes when the watermark passes the window's end.

        Windows without elements give none.
        """
        return self._of._stream(window_node(self._of, self._assigner, aggregate, options))

    def reduce(self, fn: Callable[[T, T], T], /, **options: Unpack[OperatorOptions]) -> Stream[WindowResult[T]]:
        """Reduce the elements of each window with an associative function, earlier one first."""
        return self.aggregate(reducing(fn), **options)


class KeyedWindowedStream(Generic[K, V]):
    """Keyed records in windows, waiting for an aggregate."""

    def __init__(self, stream: Handle, assigner: WindowAssigner) -> None:
        self._of = stream
        self._assigner = assigner

    def aggregate(
        self, aggregate: Aggregate[V, Any, R], /, **options: Unpack[OperatorOptions]
    ) -> KeyedStream[K, WindowResult[R]]:
        """Aggregate the values of each key in each window; the result comes when the watermark passes the window's end.

        Windows without values give none.
        """
        return self._of._keyed(window_node(self._of, self._assigner, aggregate, options))

    def reduce(self, fn: Callable[[V, V], V], /, **options: Unpack[OperatorOptions]) -> KeyedStream[K, WindowResult[V]]:
        """Reduce the values of each key in each window with an associative function, earlier one first."""
        return self.aggregate(reducing(fn), **options)


def window_node(
    stream: Handle, assigner: WindowAssigner, aggregate: Aggregate[Any, Any, Any], options: OperatorOptions
) -> SlicedWindow:
    """Add the node that aggregates windows of an assigner.

    Raises:
        PipelineError: What is given is no assigner or no aggregate; or, in batch time, a border of a window would be
            within a batch.
    """
    if not isinstance(aggregate, Aggregate):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PipelineError(f"aggregate: expected an aggregate such as count(), got {aggregate!r}")
    if not hasattr(assigner, "slide_ms"):
        raise PipelineError(f'window: expected Tumbling("10s"), Sliding(...) or a length, got {assigner!r}')
    if not in_event_time(stream._node):
        check_window("the window's size", assigner.size_ms, stream._dataflow.trigger)
        check_window("the window's slide", assigner.slide_ms, stream._dataflow.trigger)
    named = stream._named("window", options)
    node = SlicedWindow(**named, assigner=assigner, aggregate=aggregate, keyed=stream.keyed, form=WindowForm.RESULT)
    stream._dataflow.add(node)
    return node


def _no_slide(slide: object, options: OperatorOptions) -> None:
    if slide is not None or options:
        raise PipelineError("window(assigner) takes nothing else: name= and on_error= belong to its aggregate()")
