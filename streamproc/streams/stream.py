"""`Stream` and `KeyedStream`: the fluent API, put together from the operators by theme."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, Unpack

from streamproc.dataflow.nodes import Node
from streamproc.dataflow.variables import Output
from streamproc.dataflow.window_nodes import AggregateWindow
from streamproc.errors import PipelineError, UnknownAttributeError
from streamproc.streams.by_key import ByKey, WithState
from streamproc.streams.handle import Handle, OperatorOptions
from streamproc.streams.joins import Joins
from streamproc.streams.lists import KeyedLists, Lists
from streamproc.streams.outputs import Outputs
from streamproc.streams.per_batch import PerBatch
from streamproc.streams.per_record import PerRecord
from streamproc.streams.selection import Selection
from streamproc.streams.windowed import WindowBy, WindowKeyedBy
from streamproc.streams.windows import KeyedWindows, Windows
from streamproc.windowing.windows import WindowResult

__all__ = ["KeyedStream", "KeyedWindowResults", "ProcessResults", "RateLimitedStream", "Stream", "WindowResults"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
U = TypeVar("U")


class _Streams(Handle):
    """Knows both classes of streams, which the operators return."""

    def _stream(self, node: Node) -> Stream[Any]:
        return Stream(self._dataflow, node)

    def _keyed(self, node: Node) -> KeyedStream[Any, Any]:
        return KeyedStream(self._dataflow, node)

    def _window_results(self, node: Node) -> WindowResults[Any, Any]:
        return WindowResults(self._dataflow, node)

    def _keyed_window_results(self, node: Node) -> KeyedWindowResults[Any, Any, Any]:
        return KeyedWindowResults(self._dataflow, node)

    def _process_results(self, node: Node) -> ProcessResults[Any, Any]:
        return ProcessResults(self._dataflow, node)

    def _rate_limited(self, node: Node) -> RateLimitedStream[Any, Any]:
        return RateLimitedStream(self._dataflow, node)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            if name in _BELONGS_TO:
                raise UnknownAttributeError(f"{self!r} has no {name}(): call it on {_BELONGS_TO[name]}")
            if hasattr(KeyedStream, name):
                raise UnknownAttributeError(
                    f"{name}() works by key, but {self!r} has no keys: call key_by(fn) before it"
                )
            close = get_close_matches(name, dir(KeyedStream), 1)
            hint = f": did you mean {close[0]}()?" if close else ""
            raise UnknownAttributeError(f"{self!r} has no operator {name!r}{hint}")

    def _put_aside_late(self) -> Node:
        """Add the node of what came too late for the window that this stream comes from.

        Raises:
            PipelineError: It comes from another operator.
        """
        if not isinstance(self._node, AggregateWindow):
            raise PipelineError(f"late(): {self._node.name} is no window: ask what aggregate() has returned")
        return self._put_aside("late")


_BELONGS_TO = {
    "aggregate": 'windows such as window(Tumbling("1m")); window(length, slide) gives elements again',
    "late": "what aggregate() or reduce() of windows has returned",
    "output": "what process() has returned",
    "excess": "what rate_limit() has returned",
}
"""Where methods are that streams don't have."""


class Stream(
    _Streams,
    PerRecord[T],
    Selection[T],
    PerBatch[T],
    Lists[T],
    WindowBy[T],
    Windows[T],
    Outputs[T],
    Generic[T],
):
    """A stream of ``T``. Operators return new streams; nothing runs before the app does."""

    def union(self, *others: Stream[T], **options: Unpack[OperatorOptions]) -> Stream[T]:
        """Merge with streams of the same type: the batches one after the other; the watermark is the smallest.

        Example:
            >>> run([1, 2], lambda numbers: numbers.union(numbers.map(lambda n: -n)))
            [1, 2, -1, -2]
        """
        return self._stream(self._united(others, options))


class KeyedStream(
    _Streams,
    PerRecord[tuple[K, V]],
    Selection[tuple[K, V]],
    PerBatch[tuple[K, V]],
    KeyedLists[K, V],
    ByKey[K, V],
    WithState[K, V],
    Joins[K, V],
    WindowKeyedBy[K, V],
    Windows[tuple[K, V]],
    KeyedWindows[K, V],
    Outputs[tuple[K, V]],
    Generic[K, V],
):
    """A stream of values ``V`` under keys ``K``.

    To operators that are not about keys, and to sinks, its elements are pairs ``(key, value)``, as in Spark.
    """

    keyed = True

    def union(self, *others: KeyedStream[K, V], **options: Unpack[OperatorOptions]) -> KeyedStream[K, V]:
        """Merge with keyed streams of the same type: see `Stream.union`."""
        return self._keyed(self._united(others, options))


class WindowResults(Stream[WindowResult[R]], Generic[T, R]):
    """The results of windows of ``T``."""

    @cached_property
    def _late(self) -> Stream[T]:
        return Stream(self._dataflow, self._put_aside_late())

    def late(self) -> Stream[T]:
        """Return the elements that came when all of their windows were closed, as they came to the window.

        Raises:
            PipelineError: This isn't what ``aggregate`` has returned, but what another operator has made of it.

        Example:
            >>> def too_late(times):
            ...     return times.event_time(lambda t: t).window(Tumbling("10ms")).aggregate(count()).late()
            >>> run([[1, 12], [3], [13]], too_late)
            [3]
        """
        return self._late


class KeyedWindowResults(KeyedStream[K, WindowResult[R]], Generic[K, V, R]):
    """The results of windows of values ``V`` under keys ``K``."""

    @cached_property
    def _late(self) -> KeyedStream[K, V]:
        return KeyedStream(self._dataflow, self._put_aside_late())

    def late(self) -> KeyedStream[K, V]:
        """Return the records that came when all of their windows were closed; see `WindowResults.late`."""
        return self._late


class ProcessResults(KeyedStream[K, U], Generic[K, U]):
    """What a `KeyedProcess` yields; what it gives to side outputs is reached from here."""

    @cached_property
    def _side_outputs(self) -> dict[str, KeyedStream[K, Any]]:
        return {}

    def output(self, output: Output[T], /) -> KeyedStream[K, T]:
        """Return what the process gives to one of its side outputs.

        Args:
            output: As it is declared in the process's class.

        Raises:
            PipelineError: The process has no such output.

        Example:
            >>> class Roots(KeyedProcess[str, int, float]):
            ...     negative = Output(int)
            ...     def process(self, context, n):
            ...         return [n**0.5] if n >= 0 else context.output(self.negative, n) or []
            >>> run([4, -1], lambda numbers: numbers.key_by(str).process(Roots()).output(Roots.negative))
            [('-1', -1)]
        """
        outputs: dict[str, Output[Any]] = getattr(self._node, "outputs", {})
        name = getattr(output, "name", repr(output))
        if outputs.get(name) is not output:
            raise PipelineError(
                f"output({name}): {self._node.name} has no such side output"
                + (f": it has {', '.join(sorted(outputs))}" if outputs else "; its class declares them by Output(type)")
            )
        if name not in self._side_outputs:
            self._side_outputs[name] = KeyedStream(self._dataflow, self._put_aside(name))
        return self._side_outputs[name]


class RateLimitedStream(KeyedStream[K, V], Generic[K, V]):
    """What a rate limit lets pass; what is above it is reached from here."""

    @cached_property
    def _excess(self) -> KeyedStream[K, V]:
        return KeyedStream(self._dataflow, self._put_aside("excess"))

    def excess(self) -> KeyedStream[K, V]:
        """Return the records that were above the limit.

        Raises:
            PipelineError: This isn't what ``rate_limit`` has returned, but what another operator has made of it.

        Example:
            >>> run(["a", "b", "aa"], lambda words: words.key_by(lambda w: w[0]).rate_limit(1, per="1s").excess())
            [('a', 'aa')]
        """
        if "excess" not in getattr(self._node, "outputs", {}):
            raise PipelineError(f"excess(): {self._node.name} is no rate limit: ask what rate_limit() has returned")
        return self._excess
