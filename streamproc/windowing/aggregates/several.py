"""Several aggregates of the same values in one pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from streamproc.arguments import suggestion
from streamproc.errors import PipelineError
from streamproc.values import NamedValues, class_with
from streamproc.windowing.aggregates.aggregate import Aggregate, identity

__all__ = ["Aggregates", "Several", "several"]

V = TypeVar("V")
S = TypeVar("S")


class Aggregates(NamedValues, frozen=True, gc=False):
    """The results of several aggregates, each under its name: an immutable object with these fields.

    Two are equal if their names, in that order, and results are. It goes through sinks and state as a record does. A
    type checker doesn't know its fields: ``into=`` a `Record` of one's own is for that.

    Example:
        >>> [result] = run([1, 2], lambda s: s.window(Tumbling("1s")).aggregate(n=count(), mean=mean_of(lambda x: x)))
        >>> result.value
        Aggregates(n=2, mean=1.5)
        >>> result.value.mean
        1.5
    """


@dataclass(frozen=True)
class Several(Aggregate[V, list[Any], S]):
    """Several aggregates as one. The accumulator is the list of theirs; the list itself never changes.

    ``add`` may fail for one of them when others have changed their accumulators already: see
    `streamproc.engine.operators.combine.Combiner`.

    Attributes:
        parts: The aggregates by their names.
    """

    parts: Mapping[str, Aggregate[V, Any, Any]] = field(default_factory=dict[str, Any], compare=False)


@overload
def several(into: type[S], /, **aggregates: Aggregate[V, Any, Any]) -> Several[V, S]: ...
@overload
def several(into: None = None, /, **aggregates: Aggregate[V, Any, Any]) -> Several[V, Aggregates]: ...
def several(into: type[Any] | None = None, /, **aggregates: Aggregate[Any, Any, Any]) -> Several[Any, Any]:
    """Make one aggregate of several.

    Args:
        into: The class that holds the results: a `Record` or other class whose fields have the names of the aggregates.
            By default `Aggregates`.
        **aggregates: The aggregates by the names of their results.

    Raises:
        PipelineError: There are none; a name can't be that of a field, or is not that of a field of ``into``; or such a
            field has neither an aggregate nor a default.

    Example:
        >>> both = several(n=count(), most=max_of(len))
        >>> both.result(both.add(both.create("a"), "bcd"))
        Aggregates(n=2, most=3)
    """
    if not aggregates:
        raise PipelineError("aggregate: expected an aggregate such as count(), or several by name, got none")
    parts = list(aggregates.values())
    timed = any(part.timed for part in parts)
    creators = [part.create if part.timed == timed else _of_value(part.create) for part in parts]
    adders = list(enumerate(part.add if part.timed == timed else _more_of_value(part.add) for part in parts))
    inverses = [part.inverse for part in parts if part.inverse is not None]
    # Those that change nothing in place are merged first: where one fails, all are as they were.
    order = sorted(range(len(parts)), key=lambda number: parts[number].copy is not identity)
    merges = [(number, parts[number].merge) for number in order]
    copies = [(number, part.copy) for number, part in enumerate(parts) if part.copy is not identity]
    makers = [part.result for part in parts]
    names = list(aggregates)
    made_of = _maker(into, names)

    def create(value: Any) -> list[Any]:
        return [create_one(value) for create_one in creators]

    def add(accumulators: list[Any], value: Any) -> list[Any]:
        # Twice as fast as a comprehension over both lists.
        added = accumulators.copy()
        for number, add_one in adders:
            added[number] = add_one(added[number], value)
        return added

    def merge(accumulators: list[Any], others: list[Any]) -> list[Any]:
        merged = list(accumulators)
        for number, merge_one in merges:
            merged[number] = merge_one(merged[number], others[number])
        return merged

    def inverse(accumulators: list[Any], leaving: list[Any]) -> list[Any]:
        return [undo(one, other) for undo, one, other in zip(inverses, accumulators, leaving, strict=True)]

    def copy(accumulators: list[Any]) -> list[Any]:
        copied = list(accumulators)
        for number, copy_one in copies:
            copied[number] = copy_one(copied[number])
        return copied

    def result(accumulators: list[Any]) -> Any:
        return made_of(*[make(one) for make, one in zip(makers, accumulators, strict=True)])

    return Several(
        ", ".join(f"{name}={part.name}" for name, part in aggregates.items()),
        create,
        add,
        merge,
        result,
        copy if copies else identity,
        inverse if len(inverses) == len(parts) else None,
        timed,
        grows=any(part.grows for part in parts),
        parts=aggregates,
    )


def _of_value(create: Callable[[Any], Any]) -> Callable[[tuple[int, Any]], Any]:
    return lambda record: create(record[1])


def _more_of_value(add: Callable[[Any, Any], Any]) -> Callable[[Any, tuple[int, Any]], Any]:
    return lambda accumulator, record: add(accumulator, record[1])


def _maker(into: type[Any] | None, names: Sequence[str]) -> Callable[..., Any]:
    """Return what makes the object of the results, in the order of their names.

    Raises:
        PipelineError: The names are not those of its fields.
    """
    if into is None:
        try:
            return class_with(Aggregates, tuple(names))
        except ValueError as error:
            raise PipelineError(f"aggregate: {error}") from None
    if not isinstance(into, type):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PipelineError(
            f"aggregate: into is {into!r}: expected a class, such as a Record with a field for each name"
        )
    try:
        parameters: Mapping[str, inspect.Parameter] = inspect.signature(into).parameters
    except ValueError:  # what Python doesn't know of some classes of its own, such as dict
        parameters = {}
    for name in names:
        if name not in parameters:
            raise PipelineError(f"aggregate: {into.__qualname__} has no field {name!r}{suggestion(name, parameters)}")
    missing = [each.name for each in parameters.values() if each.name not in names and each.default is each.empty]
    if missing:
        raise PipelineError(
            f"aggregate: {into.__qualname__} has fields without an aggregate or a default: {', '.join(missing)}"
        )
    return lambda *values: into(**dict(zip(names, values, strict=True)))
