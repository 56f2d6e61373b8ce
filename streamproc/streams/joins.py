"""Joins of two keyed streams within a batch; all are made of ``cogroup``."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from streamproc.dataflow.nodes import CoGroup, StepKind
from streamproc.dataflow.policies import Function
from streamproc.streams.handle import Handle, OperatorOptions

if TYPE_CHECKING:
    from streamproc.streams.stream import KeyedStream

__all__ = ["Joins"]

K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")


class Joins(Handle, Generic[K, V]):
    """The joins of a keyed stream with another, by key, of the records that are in one batch."""

    def cogroup(
        self, other: KeyedStream[K, W], /, **options: Unpack[OperatorOptions]
    ) -> KeyedStream[K, tuple[list[V], list[W]]]:
        """Collect the values of both streams for each key that either has.

        Example:
            >>> def both(numbers):
            ...     keyed = numbers.key_by(lambda n: n % 2)
            ...     return keyed.cogroup(keyed.filter(lambda pair: pair[1] > 1).map_values(str))
            >>> run([1, 2, 3], both)
            [(1, ([1, 3], ['3'])), (0, ([2], ['2']))]
        """
        return self._cogroup("cogroup", other, options)

    def join(self, other: KeyedStream[K, W], /, **options: Unpack[OperatorOptions]) -> KeyedStream[K, tuple[V, W]]:
        """Pair each value with each value of the same key in the other stream.

        Example:
            >>> def joined(numbers):
            ...     keyed = numbers.key_by(lambda n: n % 2)
            ...     return keyed.join(keyed.filter(lambda pair: pair[1] > 1).map_values(str))
            >>> run([1, 2], joined)
            [(0, (2, '2'))]
        """
        return self._join("join", other, _inner, options)

    def left_outer_join(
        self, other: KeyedStream[K, W], /, **options: Unpack[OperatorOptions]
    ) -> KeyedStream[K, tuple[V, W | None]]:
        """Like `join`, with None for a value that has no partner in the other stream.

        Example:
            >>> def joined(numbers):
            ...     keyed = numbers.key_by(lambda n: n % 2)
            ...     return keyed.left_outer_join(keyed.filter(lambda pair: pair[1] > 1).map_values(str))
            >>> run([1, 2], joined)
            [(1, (1, None)), (0, (2, '2'))]
        """
        return self._join("left_outer_join", other, _left, options)

    def right_outer_join(
        self, other: KeyedStream[K, W], /, **options: Unpack[OperatorOptions]
    ) -> KeyedStream[K, tuple[V | None, W]]:
        """Like `join`, with None for a value of the other stream that has no partner here.

        Example:
            >>> def joined(numbers):
            ...     keyed = numbers.key_by(lambda n: n % 2)
            ...     return keyed.filter(lambda pair: pair[1] > 1).right_outer_join(keyed.map_values(str))
            >>> run([1, 2], joined)
            [(0, (2, '2')), (1, (None, '1'))]
        """
        return self._join("right_outer_join", other, _right, options)

    def full_outer_join(
        self, other: KeyedStream[K, W], /, **options: Unpack[OperatorOptions]
    ) -> KeyedStream[K, tuple[V | None, W | None]]:
        """Like `join`, with None for each value that has no partner on the other side.

        Example:
            >>> def joined(numbers):
            ...     odd = numbers.filter(lambda n: n % 2 == 1).key_by(lambda n: n)
            ...     return odd.full_outer_join(numbers.filter(lambda n: n < 3).key_by(lambda n: n))
            >>> run([1, 2, 3], joined)
            [(1, (1, 1)), (3, (3, None)), (2, (None, 2))]
        """
        return self._join("full_outer_join", other, _full, options)

    def _cogroup(self, kind: str, other: KeyedStream[K, W], options: OperatorOptions) -> KeyedStream[K, Any]:
        self._check_together(other, kind)
        named = self._named(kind, options, self._node, other._node)
        return self._keyed(self._dataflow.add(CoGroup(**named)))

    def _join(
        self, kind: str, other: KeyedStream[K, W], pairs: Function, options: OperatorOptions
    ) -> KeyedStream[K, Any]:
        grouped = self._cogroup(kind, other, options)
        return self._keyed(grouped._step(StepKind.FLAT_MAP_VALUES, pairs, {}))


def _inner(sides: tuple[list[Any], list[Any]]) -> product[tuple[Any, Any]]:
    return product(*sides)


def _left(sides: tuple[list[Any], list[Any]]) -> product[tuple[Any, Any]]:
    return product(sides[0], sides[1] or (None,))


def _right(sides: tuple[list[Any], list[Any]]) -> product[tuple[Any, Any]]:
    return product(sides[0] or (None,), sides[1])


def _full(sides: tuple[list[Any], list[Any]]) -> product[tuple[Any, Any]]:
    return product(sides[0] or (None,), sides[1] or (None,))
