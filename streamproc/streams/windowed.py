"""``window``: by length and slide, or by an assigner; and what comes out of the latter."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar, Unpack, overload

from streamproc.arguments import refuse_unknown, suggestion
from streamproc.dataflow.dataflow import check_window
from streamproc.dataflow.nodes import Node
from streamproc.dataflow.policies import ErrorPolicy
from streamproc.dataflow.times import in_event_time
from streamproc.dataflow.window_nodes import CountWindow, PanedWindow, SlicedWindow, WindowForm
from streamproc.durations import Duration
from streamproc.errors import PipelineError, UnknownAttributeError
from streamproc.streams.handle import Handle, OperatorOptions
from streamproc.streams.window_options import Windowing, WindowOptions
from streamproc.streams.windows import window_of_elements
from streamproc.windowing.aggregates import Aggregate, Aggregates, reducing, several
from streamproc.windowing.assigners import Count, Periodic, WindowAssigner

if TYPE_CHECKING:
    from streamproc.streams.stream import KeyedWindowResults, WindowResults

__all__ = ["KeyedWindowedStream", "WindowBy", "WindowKeyedBy", "WindowedStream"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
S = TypeVar("S")


class WindowBy(Handle, Generic[T]):
    """``window`` of a stream without keys."""

    @overload
    def window(self, length: WindowAssigner, /, **options: Unpack[WindowOptions]) -> WindowedStream[T]: ...
    @overload
    def window(
        self, length: Duration, slide: Duration | None = None, /, **options: Unpack[OperatorOptions]
    ) -> Self: ...
    def window(
        self, length: WindowAssigner | Duration, slide: Duration | None = None, /, **options: Any
    ) -> WindowedStream[T] | Self:
        """Put the elements into windows: those of an assigner, to be aggregated, or all of each window at its end.

        With a length and a slide it is the DStream's ``window``: the elements of each window are given out again.

        Args:
            length: An assigner such as `Tumbling`, `Sliding`, `Session`, or a length.
            slide: With a length: the distance between windows.
            **options: With an assigner see `WindowOptions`, with a length `OperatorOptions`.

        Example:
            >>> run([["a"], ["b"]], lambda letters: letters.window("1s"), interval="500ms", batches=3)
            ['a', 'a', 'b', 'b']
            >>> run([["a"], ["b"]], lambda s: s.window(Tumbling("1s")).aggregate(count()), interval="500ms", batches=2)
            [WindowResult(start=0, end=1000, value=2)]
        """
        if isinstance(length, str | timedelta | int | float):  # a number has no unit, but is meant as a length
            return self._same(_elements(self, length, slide, options))
        return WindowedStream(self, _windowing(length, slide, options))


class WindowKeyedBy(Handle, Generic[K, V]):
    """``window`` of a keyed stream."""

    @overload
    def window(self, length: WindowAssigner, /, **options: Unpack[WindowOptions]) -> KeyedWindowedStream[K, V]: ...
    @overload
    def window(
        self, length: Duration, slide: Duration | None = None, /, **options: Unpack[OperatorOptions]
    ) -> Self: ...
    def window(
        self, length: WindowAssigner | Duration, slide: Duration | None = None, /, **options: Any
    ) -> KeyedWindowedStream[K, V] | Self:
        """Put the records of each key into windows; as `WindowBy.window`.

        Example:
            >>> def per_second(names):
            ...     return names.key_by(lambda name: name[0]).window(Tumbling("1s")).aggregate(count())
            >>> run([["ann"], ["abe"]], per_second, interval="500ms", batches=2)
            [('a', WindowResult(start=0, end=1000, value=2))]
        """
        if isinstance(length, str | timedelta | int | float):  # a number has no unit, but is meant as a length
            return self._same(_elements(self, length, slide, options))
        return KeyedWindowedStream(self, _windowing(length, slide, options))


class WindowedStream(Generic[T]):
    """Elements in windows, waiting for an aggregate."""

    def __init__(self, stream: Handle, windowing: Windowing) -> None:
        self._of = stream
        self._windowing = windowing

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            raise _no_aggregate(name)

    @overload
    def aggregate(
        self, aggregate: Aggregate[T, Any, R], /, **options: Unpack[OperatorOptions]
    ) -> WindowResults[T, R]: ...
    @overload
    def aggregate(
        self, /, *, into: type[S], name: str = ..., on_error: ErrorPolicy = ..., **aggregates: Aggregate[T, Any, Any]
    ) -> WindowResults[T, S]: ...
    @overload
    def aggregate(
        self, /, *, name: str = ..., on_error: ErrorPolicy = ..., **aggregates: Aggregate[T, Any, Any]
    ) -> WindowResults[T, Aggregates]: ...
    def aggregate(
        self, aggregate: Aggregate[T, Any, Any] | None = None, /, *, into: Any = None, **given: Any
    ) -> WindowResults[T, Any]:
        """Aggregate the elements of each window; the result comes when the watermark passes the window's end.

        Windows without elements give none.

        Args:
            aggregate: What to make of the elements.
            into: With several aggregates: the class that holds their results, with a field for each; a `Record`
                usually. By default `Aggregates`.
            **given: Instead of one aggregate: several by the names of their results, computed in one pass. And the
                options of any operator, ``name`` and ``on_error``, which are therefore no names of results.

        Example:
            >>> def lengths(words):
            ...     return words.window(Tumbling("1s")).aggregate(n=count(), longest=max_of(len))
            >>> run(["a", "bcd"], lengths)
            [WindowResult(start=0, end=1000, value=Aggregates(n=2, longest=3))]
        """
        one, options = _one_aggregate(aggregate, into, given)
        return self._of._window_results(_window_node(self._of, self._windowing, one, options))

    def reduce(self, fn: Callable[[T, T], T], /, **options: Unpack[OperatorOptions]) -> WindowResults[T, T]:
        """Reduce the elements of each window with an associative function, earlier one first."""
        return self.aggregate(reducing(fn), **options)


class KeyedWindowedStream(Generic[K, V]):
    """Keyed records in windows, waiting for an aggregate."""

    def __init__(self, stream: Handle, windowing: Windowing) -> None:
        self._of = stream
        self._windowing = windowing

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            raise _no_aggregate(name)

    @overload
    def aggregate(
        self, aggregate: Aggregate[V, Any, R], /, **options: Unpack[OperatorOptions]
    ) -> KeyedWindowResults[K, V, R]: ...
    @overload
    def aggregate(
        self, /, *, into: type[S], name: str = ..., on_error: ErrorPolicy = ..., **aggregates: Aggregate[V, Any, Any]
    ) -> KeyedWindowResults[K, V, S]: ...
    @overload
    def aggregate(
        self, /, *, name: str = ..., on_error: ErrorPolicy = ..., **aggregates: Aggregate[V, Any, Any]
    ) -> KeyedWindowResults[K, V, Aggregates]: ...
    def aggregate(
        self, aggregate: Aggregate[V, Any, Any] | None = None, /, *, into: Any = None, **given: Any
    ) -> KeyedWindowResults[K, V, Any]:
        """Aggregate the values of each key in each window; the result comes when the watermark passes the window's end.

        Windows without values give none. See `WindowedStream.aggregate`.

        Example:
            >>> def lengths(words):
            ...     windows = words.key_by(lambda word: word[0]).window(Tumbling("1s"))
            ...     return windows.aggregate(n=count(), longest=max_of(len))
            >>> run(["a", "abc"], lengths)
            [('a', WindowResult(start=0, end=1000, value=Aggregates(n=2, longest=3)))]
        """
        one, options = _one_aggregate(aggregate, into, given)
        return self._of._keyed_window_results(_window_node(self._of, self._windowing, one, options))

    def reduce(self, fn: Callable[[V, V], V], /, **options: Unpack[OperatorOptions]) -> KeyedWindowResults[K, V, V]:
        """Reduce the values of each key in each window with an associative function, earlier one first."""
        return self.aggregate(reducing(fn), **options)


_METHODS = ("aggregate", "reduce")


def _no_aggregate(name: str) -> AttributeError:
    """Return the error of who uses windows like a stream."""
    if name.startswith("_"):
        return AttributeError(name)
    if get_close_matches(name, _METHODS, 1):
        return UnknownAttributeError(f"windows have no {name}(){suggestion(name, _METHODS)}")
    return UnknownAttributeError(
        f"{name}() works on the results of windows: call aggregate(...) or reduce(...) before it"
    )


def _elements(stream: Handle, length: Any, slide: Duration | None, options: Any) -> Node:
    """Add the window that gives its elements again.

    Raises:
        PipelineError: It is given an option of windows to be aggregated.
    """
    for option in options.keys() & WindowOptions.__annotations__.keys():
        raise PipelineError(
            f"window({length!r}) has no option {option!r}: it gives the elements of each window again. Windows that "
            f'have it are aggregated: window(Sliding("1m", every="10s"), {option}=…).aggregate(…)'
        )
    return window_of_elements(stream, length, slide, options)


def _windowing(assigner: WindowAssigner, slide: object, options: Any) -> Windowing:
    if slide is not None:
        raise PipelineError(f"window({assigner!r}, {slide!r}): a slide belongs to a length; Sliding(…) has its own")
    return Windowing.of(assigner, options)


def _one_aggregate(
    aggregate: Aggregate[Any, Any, Any] | None, into: Any, given: dict[str, Any]
) -> tuple[Aggregate[Any, Any, Any], OperatorOptions]:
    """Return the aggregate that is meant, and the options of the operator.

    Raises:
        PipelineError: There is no aggregate, or both one and several; or something else where one is expected.
    """
    options: Any = {name: option for name, option in given.items() if name in OperatorOptions.__annotations__}
    named = {name: each for name, each in given.items() if name not in options}
    for name, each in named.items():
        if name in WindowOptions.__annotations__ and not isinstance(each, Aggregate):
            raise PipelineError(f"aggregate has no option {name!r}: give it to the window(…) before")
    if aggregate is not None:
        if into is not None or any(isinstance(each, Aggregate) for each in named.values()):
            raise PipelineError("aggregate: expected one aggregate, or several by name, got both: give all a name")
        refuse_unknown("aggregate", named, OperatorOptions.__annotations__)
        return aggregate, options
    for name, each in named.items():
        if not isinstance(each, Aggregate):
            raise PipelineError(f"aggregate: {name} is {each!r}: expected an aggregate such as count()")
    return several(into, **named), options


def _window_node(
    stream: Handle, windowing: Windowing, aggregate: Aggregate[Any, Any, Any], options: OperatorOptions
) -> Node:
    """Add the node that aggregates windows.

    Raises:
        PipelineError: What is given is no aggregate; or, in batch time, a border of a window would be within a batch.
    """
    if not isinstance(aggregate, Aggregate):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PipelineError(f"aggregate: expected an aggregate such as count(), got {aggregate!r}")
    assigner: Any = windowing.assigner
    if hasattr(assigner, "slide_ms") and not in_event_time(stream._node):
        _check_against_interval(stream, assigner)
    named: dict[str, Any] = stream._named("window", options)
    named |= {"aggregate": aggregate, "keyed": stream.keyed, "assigner": assigner}
    lateness = windowing.allowed_lateness_ms
    node: Node
    if isinstance(assigner, Count):
        node = CountWindow(**named)
    elif windowing.gives_one_result_a_slice:
        node = SlicedWindow(**named, form=WindowForm.RESULT, allowed_lateness_ms=lateness)
    else:
        node = PanedWindow(
            **named,
            trigger=windowing.trigger,
            allowed_lateness_ms=lateness,
            panes=windowing.panes,
            result_time=windowing.result_time,
        )
    return stream._dataflow.add(node)


def _check_against_interval(stream: Handle, assigner: Periodic) -> None:
    trigger = stream._dataflow.trigger
    check_window("the window's size", assigner.size_ms, trigger)
    check_window("the window's slide", assigner.slide_ms, trigger)
    check_window("the window's offset", assigner.offset_ms, trigger)
