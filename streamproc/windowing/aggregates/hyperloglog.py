"""HyperLogLog: how many values differ, about, in 4 KB at most.

Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", AOFA 2007, with 64-bit
hashes and the estimator of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284,
2017, algorithm 6, which needs no tables of corrections.

There are 4,096 registers. The first 12 bits of a value's hash choose one; it keeps the largest rank that it has seen:
the number of zeros that the other 52 bits begin with, and one. So registers depend on the set of values alone, not on
their order, nor on how they were cut into parts.

Registers are a dict of those that are not 0, while there are few, and then a byte each; both can be written to state.
The hash is BLAKE2b of the value as it is written; it must not change as long as there is state.
"""

from __future__ import annotations

from hashlib import blake2b
from math import inf, log, sqrt
from typing import Any, Final, TypeAlias

from streamproc.values import encode_value

__all__ = ["Registers", "add", "copy", "estimate", "merge"]

Registers: TypeAlias = dict[int, int] | bytes

_BITS: Final = 12
_COUNT: Final = 1 << _BITS
_REST: Final = 64 - _BITS
_MOST: Final = _COUNT // 4
"""More entries than this take more bytes in a dict than all registers do."""
_HIGHEST: Final = int.from_bytes(b"\x80" * _COUNT, "little")
_OTHERS: Final = int.from_bytes(b"\x7f" * _COUNT, "little")
"""The highest bit of each register, which none has, and the other bits."""
_UNORDERED: Final = frozenset({set, frozenset, dict})


def add(registers: Registers, value: Any) -> Registers:
    """Return registers with a value added; a dict is changed in place.

    Raises:
        TypeError: The value is a set or a dict, or a tuple or list that holds one.
        EncodeError: It can't be written.
    """
    _check_order(value)
    hashed = int.from_bytes(blake2b(encode_value(value), digest_size=8).digest(), "big")
    number = hashed >> _REST
    rank = _REST + 1 - (hashed & (1 << _REST) - 1).bit_length()
    if isinstance(registers, dict):
        if registers.get(number, 0) < rank:
            registers[number] = rank
            if len(registers) > _MOST:
                return _as_bytes(registers)
    elif registers[number] < rank:
        return b"%b%c%b" % (registers[:number], rank, registers[number + 1 :])
    return registers


def _check_order(value: Any) -> None:
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in _UNORDERED:
        raise TypeError(f"distinct_count(approximate=True) of a {kind.__name__}, which has no order: sort it")
    if kind is tuple or kind is list:
        for item in value:
            _check_order(item)


def merge(registers: Registers, others: Registers) -> Registers:
    """Return registers of the values of both; a dict that comes first is changed in place."""
    if isinstance(registers, bytes):
        return _largest(registers, others if isinstance(others, bytes) else _as_bytes(others))
    if isinstance(others, bytes):
        return _largest(_as_bytes(registers), others)
    for number, rank in others.items():
        if registers.get(number, 0) < rank:
            registers[number] = rank
    return _as_bytes(registers) if len(registers) > _MOST else registers


def estimate(registers: Registers) -> int:
    """Return how many different values were added, about."""
    if isinstance(registers, dict):
        ranks = list(registers.values())
        counts = [_COUNT - len(ranks), *(ranks.count(rank) for rank in range(1, _REST + 2))]
    else:
        counts = [registers.count(rank) for rank in range(_REST + 2)]
    total = _COUNT * _tau(1 - counts[_REST + 1] / _COUNT)
    for rank in range(_REST, 0, -1):
        total = (total + counts[rank]) / 2
    total += _COUNT * _sigma(counts[0] / _COUNT)
    return round(_COUNT * _COUNT / (2 * log(2) * total))


def copy(registers: Registers) -> Registers:
    """Return registers that can be changed."""
    return dict(registers) if isinstance(registers, dict) else registers


def _as_bytes(registers: dict[int, int]) -> bytes:
    found = bytearray(_COUNT)
    for number, rank in registers.items():
        found[number] = rank
    return bytes(found)


def _largest(registers: bytes, others: bytes) -> bytes:
    """Return the larger one of each two registers, of all at once: a loop would take a hundred times as long."""
    one, other = int.from_bytes(registers, "little"), int.from_bytes(others, "little")
    # The highest bit of a register stays where it is not below the other, and then stands for all other bits.
    not_below = ((one | _HIGHEST) - other) & _HIGHEST
    chosen = not_below - (not_below >> 7)
    return ((one & chosen) | (other & (chosen ^ _OTHERS))).to_bytes(_COUNT, "little")


def _sigma(x: float) -> float:
    if x == 1:
        return inf
    factor, total, before = 1.0, x, -1.0
    while total != before:
        x *= x
        before = total
        total += x * factor
        factor += factor
    return total


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    factor, total, before = 1.0, 1 - x, -1.0
    while total != before:
        x = sqrt(x)
        before = total
        factor /= 2
        total -= (1 - x) ** 2 * factor
    return total / 3
