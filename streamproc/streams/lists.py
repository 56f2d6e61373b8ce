"""``batch``: several elements as one list."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, Unpack

from streamproc.arguments import check_count
from streamproc.dataflow.nodes import Node
from streamproc.dataflow.stateful_nodes import GatherLists
from streamproc.durations import Duration, to_ms
from streamproc.streams.handle import Handle, OperatorOptions

if TYPE_CHECKING:
    from streamproc.streams.stream import KeyedStream, Stream

__all__ = ["KeyedLists", "Lists"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Lists(Handle, Generic[T]):
    """Lists of the elements of a stream."""

    def batch(
        self, n: int, /, *, within: Duration | None = None, **options: Unpack[OperatorOptions]
    ) -> Stream[list[T]]:
        """Gather elements into lists of up to ``n``, for work that is better done for many at once.

        A list is given when it is full, when its first element has waited for a time, and when bounded input ends.
        Lists are in batch time, whatever time the elements had.

        Args:
            n: How many elements a list has at most.
            within: For how long, in processing time, the first element of a list waits at most. By default for ever.
            **options: See `OperatorOptions`.

        Example:
            >>> run([[1, 2, 3], [4, 5]], lambda numbers: numbers.batch(2))
            [[1, 2], [3, 4], [5]]
        """
        return self._stream(_gather(self, n, within, options))


class KeyedLists(Handle, Generic[K, V]):
    """Lists of the values of each key."""

    def batch(
        self, n: int, /, *, within: Duration | None = None, **options: Unpack[OperatorOptions]
    ) -> KeyedStream[K, list[V]]:
        """Gather the values of each key into lists of up to ``n``: as ``Stream.batch``, key by key.

        Args:
            n: How many values a list has at most.
            within: For how long, in processing time, the first value of a list waits at most. By default for ever.
            **options: See `OperatorOptions`.

        Example:
            >>> run([[1, 2, 3], [5]], lambda numbers: numbers.key_by(lambda n: n % 2).batch(2))
            [(1, [1, 3]), (0, [2]), (1, [5])]
        """
        return self._keyed(_gather(self, n, within, options))


def _gather(stream: Handle, n: int, within: Duration | None, options: OperatorOptions) -> Node:
    check_count("batch: n", n)
    named = stream._named("batch", options)
    within_ms = None if within is None else to_ms(within, what=f"within of {named['name']}")
    return stream._dataflow.add(GatherLists(**named, n=n, within_ms=within_ms, keyed=stream.keyed))
