"""`Stream` and `KeyedStream`: the fluent API, put together from the operators by theme."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from streamproc.dataflow.nodes import Node
from streamproc.errors import PipelineError
from streamproc.streams.by_key import ByKey, WithState
from streamproc.streams.handle import Handle
from streamproc.streams.joins import Joins
from streamproc.streams.outputs import Outputs
from streamproc.streams.per_batch import PerBatch
from streamproc.streams.per_record import PerRecord
from streamproc.streams.windowed import WindowBy, WindowKeyedBy
from streamproc.streams.windows import KeyedWindows, Windows

__all__ = ["KeyedStream", "Stream"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class _Streams(Handle):
    """Knows both classes of streams, which the operators return."""

    def _stream(self, node: Node) -> Stream[Any]:
        return Stream(self._dataflow, node)

    def _keyed(self, node: Node) -> KeyedStream[Any, Any]:
        return KeyedStream(self._dataflow, node)


class Stream(_Streams, PerRecord[T], PerBatch[T], WindowBy[T], Windows[T], Outputs[T], Generic[T]):
    """A stream of ``T``. Operators return new streams; nothing runs before the app does."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if not name.startswith("_") and hasattr(KeyedStream, name):
                raise PipelineError(f"{name}() works by key, but {self!r} has no keys: call key_by(fn) before it")
            raise AttributeError(f"a {type(self).__name__} has no operator {name!r}")


class KeyedStream(
    _Streams,
    PerRecord[tuple[K, V]],
    PerBatch[tuple[K, V]],
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
