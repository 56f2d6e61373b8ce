"""Operators that pass on some of the elements: the first of the same, a sample, the largest."""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack

from streamproc.arguments import check_count, check_plain
from streamproc.dataflow.nodes import Step, StepKind
from streamproc.dataflow.policies import Function
from streamproc.dataflow.stateful_nodes import Deduplicate, TopK
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.state.keys import encode_key
from streamproc.streams.handle import Handle, OperatorOptions
from streamproc.windowing.aggregates import identity

if TYPE_CHECKING:
    from streamproc.streams.stream import Stream

__all__ = ["Selection"]

T = TypeVar("T")


class Selection(Handle, Generic[T]):
    """The operators of a stream that pass on some of its elements."""

    def deduplicate(
        self, *, by: Callable[[T], object] | None = None, within: Duration, **options: Unpack[OperatorOptions]
    ) -> Self:
        """Pass on the first of the elements that are the same; those that follow within a time are dropped.

        Elements are compared by event time where there is any, else by the time of their batches. A first element
        stands for those that are less than ``within`` away from it, earlier or later, and is then forgotten: the next
        one is a first one again. So ``within`` bounds the state. Elements that are dropped are counted as ``dropped``.

        A late element is compared with what is still known: one that is late by more than ``within`` passes again.

        Args:
            by: Returns what makes elements the same: a key as for ``key_by``. By default the element itself.
            within: The time.
            **options: See `OperatorOptions`.

        Example:
            >>> run(["a", "b", "a"], lambda letters: letters.deduplicate(within="1h"))
            ['a', 'b']
        """
        named = self._named("deduplicate", options)
        within_ms = to_ms(within, what=f"within of {named['name']}")
        node = Deduplicate(**named, by=_plain(named["name"], by), within_ms=within_ms)
        return self._same(self._dataflow.add(node))

    def sample(
        self,
        fraction: float,
        *,
        by: Callable[[T], object] | None = None,
        seed: int | None = None,
        **options: Unpack[OperatorOptions],
    ) -> Self:
        """Pass on about a fraction of the elements, chosen at random or by a key.

        Args:
            fraction: From 0 for none to 1 for all.
            by: Returns a key as for ``key_by``: all elements of a key pass or none does, the same ones in each run and
                each app, whatever else comes. By default each element is drawn by itself.
            seed: Chooses another sample. Without ``by``, the draws begin with it at each start; by default they are
                others each time.
            **options: See `OperatorOptions`.

        Example:
            >>> run(range(8), lambda numbers: numbers.sample(0.5, by=lambda n: n % 4))
            [0, 3, 4, 7]
        """
        if not isinstance(fraction, int | float) or not 0 <= fraction <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"sample: the fraction is {fraction!r}: expected a number from 0 to 1")
        named = self._named("sample", options)
        choose = _drawn(fraction, seed) if by is None else _chosen(fraction, _plain(named["name"], by), seed or 0)
        return self._same(self._dataflow.add(Step(**named, step=StepKind.FILTER, fn=choose, keyed=self.keyed)))

    def top_k(
        self, k: int, *, by: Callable[[T], Any] | None = None, **options: Unpack[OperatorOptions]
    ) -> Stream[list[T]]:
        """Give the list of the ``k`` largest elements so far, the largest first, with each batch that changes it.

        Of equal elements those that came first count. Behind a window there is one list for each window, of its results
        alone.

        Args:
            k: How many elements at most.
            by: Returns what elements are compared by; by default themselves.
            **options: See `OperatorOptions`.

        Example:
            >>> run([[3, 9], [1, 5], [2]], lambda numbers: numbers.top_k(2))
            [[9, 3], [9, 5]]
        """
        check_count("top_k: k", k)
        named = self._named("top_k", options)
        return self._stream(self._dataflow.add(TopK(**named, k=k, by=_plain(named["name"], by))))


def _plain(operator: str, fn: Function | None) -> Function:
    """Return a function that isn't awaited; the identity for none."""
    if fn is None:
        return identity
    check_plain(f"{operator}: by", fn)
    return fn


def _drawn(fraction: float, seed: int | None) -> Callable[[object], bool]:
    draw = random.Random(seed).random  # noqa: S311 - nothing is to be kept secret

    def choose(_element: object) -> bool:
        return draw() < fraction

    return choose


def _chosen(fraction: float, by: Function, seed: int) -> Callable[[object], bool]:
    """Return a predicate that holds for a fraction of all keys: those whose hash is small enough."""
    limit = int(fraction * (1 << 64))
    seeded = blake2b(encode_key(seed), digest_size=8)

    def choose(element: object) -> bool:
        hashed = seeded.copy()
        hashed.update(encode_key(by(element)))
        return int.from_bytes(hashed.digest(), "big") < limit

    return choose
