"""Durations: a `timedelta` or a string such as ``"5s"`` at the edge, integer milliseconds inside."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TypeAlias

from streamproc.errors import PipelineError

__all__ = ["Duration", "format_ms", "to_ms"]

Duration: TypeAlias = "str | timedelta"
"""What users write for a length of time: ``"500ms"``, ``"1m30s"``, ``"2h"``, ``"1d"``, or a `timedelta`."""

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

_EXPECTED = f'expected a timedelta, or text such as "500ms", "1m30s", "2h" with the units {", ".join(_UNITS_MS)}'


def to_ms(duration: Duration, *, what: str = "a duration", zero: bool = False) -> int:
    """Return a duration in milliseconds.

    Args:
        duration: A `timedelta`, or numbers with the units ``ms``, ``s``, ``m``, ``h``, ``d``, largest first or not.
        what: What the duration is for, named in the error.
        zero: Whether a length of zero is allowed.

    Raises:
        PipelineError: No duration, finer than a millisecond, negative, or zero where it must not be.
    """
    if isinstance(duration, timedelta):
        exact = duration / timedelta(milliseconds=1)
    elif isinstance(duration, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        parts = _PART.findall(duration.replace(" ", ""))
        if not parts or "".join(number + unit for number, unit in parts) != duration.replace(" ", ""):
            raise PipelineError(f"{what} is {duration!r}: {_EXPECTED}")
        exact = sum(float(number) * _UNITS_MS[unit] for number, unit in parts)
    else:
        raise PipelineError(f"{what} is {duration!r}: {_EXPECTED}")
    result = round(exact)
    if abs(result - exact) > 1e-6:
        raise PipelineError(f"{what} is {duration!r}: the finest unit is a millisecond")
    if result < 0 or (result == 0 and not zero):
        raise PipelineError(f"{what} is {duration!r}: expected {'zero or more' if zero else 'more than zero'}")
    return result


def format_ms(ms: int) -> str:
    """Return milliseconds as the shortest text that `to_ms` reads back, for example ``90_000`` as ``"1m30s"``."""
    if ms == 0:
        return "0ms"
    parts: list[str] = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, ms = divmod(ms, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
