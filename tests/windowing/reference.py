"""What windows are by definition: all records in lists, every window computed from scratch. Slow and obvious.

Batch ``n``, from 1, has the time ``n``. A window of length L and slide S ends at each multiple of S and holds the
batches with times in ``(end - L, end]``. These are the rules of Spark's DStreams with a start at zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import chain
from typing import Any

Batches = Sequence[Sequence[Any]]
Outputs = list[list[Any]]


def window(batches: Batches, length: int, slide: int) -> Outputs:
    """The elements of each window, at its end."""
    return [
        list(chain.from_iterable(batches[max(0, end - length) : end])) if end % slide == 0 else []
        for end in range(1, len(batches) + 1)
    ]


def reduce_by_window(batches: Batches, fn: Callable[[Any, Any], Any], length: int, slide: int) -> Outputs:
    """One value for each window that holds an element."""
    return [[reduce(fn, elements)] if elements else [] for elements in window(batches, length, slide)]


def reduce_by_key_and_window(batches: Batches, fn: Callable[[Any, Any], Any], length: int, slide: int) -> Outputs:
    """One value for each key in each window; the elements are pairs."""
    return [list(by_key(pairs, fn).items()) for pairs in window(batches, length, slide)]


def count_by_window(batches: Batches, length: int, slide: int) -> Outputs:
    """The number of elements of each window, from the first on that holds one."""
    counts = [[len(elements)] for elements in window(batches, length, slide)]
    return _from_first(batches, counts, length, slide)


def sums_with_inverse(batches: Batches, length: int, slide: int) -> Outputs:
    """The sum of each window, from the first on that holds an element; 0 for those without."""
    return _from_first(batches, [[sum(numbers)] for numbers in window(batches, length, slide)], length, slide)


def key_sums_with_inverse(batches: Batches, length: int, slide: int) -> Outputs:
    """The sum of each key in each window, from the first on that holds the key."""
    seen: dict[Any, None] = {}
    found: Outputs = []
    for end, pairs in enumerate(window(batches, length, slide), start=1):
        sums = by_key(pairs, lambda a, b: a + b)
        seen.update(dict.fromkeys(sums))
        found.append([(key, sums.get(key, 0)) for key in seen] if end % slide == 0 else [])
    return found


def positive_key_sums(batches: Batches, length: int, slide: int) -> Outputs:
    """The sum of each key in each window, of positive numbers, without those that are zero."""
    return [
        [(key, total) for key, total in totals if total > 0]
        for totals in reduce_by_key_and_window(batches, lambda a, b: a + b, length, slide)
    ]


def count_by_value_and_window(batches: Batches, length: int, slide: int) -> Outputs:
    """How often each element is in each window."""
    return [list(Counter(elements).items()) for elements in window(batches, length, slide)]


def by_key(pairs: Sequence[tuple[Any, Any]], fn: Callable[[Any, Any], Any]) -> dict[Any, Any]:
    """Reduce the values of each key."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        found[key] = fn(found[key], value) if key in found else value
    return found


def _from_first(batches: Batches, values: Outputs, length: int, slide: int) -> Outputs:
    started = False
    found: Outputs = []
    for end, (elements, value) in enumerate(zip(window(batches, length, slide), values, strict=True), start=1):
        started = started or bool(elements)
        found.append(value if started and end % slide == 0 else [])
    return found
