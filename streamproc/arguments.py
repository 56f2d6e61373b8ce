"""Checks of what users give to operators: what is wrong is refused where it is written, before anything runs."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Collection, Iterable

from streamproc.errors import PipelineError

__all__ = ["check_count", "check_flag", "check_plain", "is_async", "refuse_unknown", "suggestion"]


def is_async(fn: object) -> bool:
    """Return whether a function is an ``async def``, also as a method, a partial, or an object that is called."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


def check_plain(what: str, fn: object) -> None:
    """Refuse what is no function, or one that would have to be awaited.

    Args:
        what: What it is given as, named in the error.
        fn: What is given.

    Raises:
        PipelineError: It is no function, an ``async def``, or an ``async def`` that yields.
    """
    awaited = is_async(fn) or inspect.isasyncgenfunction(fn)
    if awaited or not callable(fn):
        hint = ": await in a map() before" if awaited else ""
        raise PipelineError(f"{what} is {fn!r}: expected a plain function, no async def{hint}")


def check_count(what: str, number: object) -> None:
    """Refuse what is no whole number from 1.

    Raises:
        PipelineError: It is none.
    """
    if type(number) is not int or number < 1:
        raise PipelineError(f"{what} is {number!r}: expected a whole number of at least 1")


def check_flag(what: str, flag: object) -> None:
    """Refuse what is neither true nor false, such as ``"no"``, which Python takes for true.

    Raises:
        PipelineError: It is neither.
    """
    if type(flag) is not bool:
        raise PipelineError(f"{what} is {flag!r}: expected True or False")


def refuse_unknown(kind: str, options: Iterable[str], known: Collection[str]) -> None:
    """Refuse an option that an operator doesn't have.

    Raises:
        PipelineError: There is one; the message says which was probably meant, or which there are.
    """
    for option in options:
        if option not in known:
            raise PipelineError(f"{kind} has no option {option!r}{suggestion(option, known)}")


def suggestion(name: str, known: Collection[str]) -> str:
    """Return how an error about an unknown name goes on: with the name that is similar, or with all that there are."""
    close = difflib.get_close_matches(name, known, 1)
    return f": did you mean {close[0]!r}?" if close else f": it has {', '.join(known) or 'none'}"
