"""`Handle`: what all streams are: a node of the dataflow, and the means to add further ones."""

# pyright: reportPrivateUsage=false
# The modules of this package share the internals of `Handle`, which are none of the users' business.

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Self, TypedDict

from streamproc.arguments import check_count, check_flag, is_async, refuse_unknown
from streamproc.dataflow.dataflow import Dataflow
from streamproc.dataflow.nodes import Node, SideOutput, Step, StepKind
from streamproc.dataflow.policies import AsyncOptions, ErrorPolicy, Function, Retry
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.windowing.aggregates import identity

if TYPE_CHECKING:
    from streamproc.streams.stream import (
        KeyedStream,
        KeyedWindowResults,
        ProcessResults,
        RateLimitedStream,
        Stream,
        WindowResults,
    )

__all__ = ["Handle", "OperatorOptions", "StepOptions"]


class OperatorOptions(TypedDict, total=False):
    """What every operator can be given.

    Keys:
        name: Its name in plans, metrics and errors; with state, its identity across restarts. By default its kind and
            its number.
        on_error: What to do with a record on which the function fails: ``"fail"``, ``"skip"`` or ``dead_letter(sink)``.
            By default what the app says.
    """

    name: str
    on_error: ErrorPolicy


class StepOptions(OperatorOptions, total=False):
    """What operators that take an ``async def`` function can be given besides; an error with a plain function.

    Keys:
        concurrency: How many calls may be under way at once; 100 by default.
        ordered: Whether results keep the order of their records; true by default.
        timeout: How long one call may take.
        retry: Whether and how to call again after a failure.
    """

    concurrency: int
    ordered: bool
    timeout: Duration
    retry: Retry


class Handle:
    """A place in the dataflow that further operators can be attached to."""

    keyed = False

    def __init__(self, dataflow: Dataflow, node: Node) -> None:
        self._dataflow = dataflow
        self._node = node

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._node.name}>"

    def _stream(self, node: Node) -> Stream[Any]:
        """Return the stream behind a new node."""
        raise NotImplementedError

    def _keyed(self, node: Node) -> KeyedStream[Any, Any]:
        """Return the keyed stream behind a new node."""
        raise NotImplementedError

    def _window_results(self, node: Node) -> WindowResults[Any, Any]:
        """Return the results of the windows of a new node."""
        raise NotImplementedError

    def _keyed_window_results(self, node: Node) -> KeyedWindowResults[Any, Any, Any]:
        """Return the results of the keyed windows of a new node."""
        raise NotImplementedError

    def _process_results(self, node: Node) -> ProcessResults[Any, Any]:
        """Return the results of the `KeyedProcess` of a new node."""
        raise NotImplementedError

    def _rate_limited(self, node: Node) -> RateLimitedStream[Any, Any]:
        """Return what a new node lets pass."""
        raise NotImplementedError

    def _same(self, node: Node) -> Self:
        """Return a stream of the same kind behind a new node."""
        return type(self)(self._dataflow, node)

    def _side_output(self, node: Node, output: str) -> Self:
        """Return a side output, of the same kind as this stream, of a new node."""
        return self._same(side_output(self._dataflow, node, output))

    def _put_aside(self, output: str) -> Node:
        """Add the node of a side output of the operator that this stream comes from."""
        return side_output(self._dataflow, self._node, output)

    def _check_together(self, other: Handle, what: str) -> None:
        """Refuse to combine streams of two apps, or a keyed with an unkeyed one."""
        if not isinstance(other, Handle):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"{what} of {self!r} and {other!r}: the other is no stream")
        if other._dataflow is not self._dataflow:
            raise PipelineError(f"{what} of {self!r} and {other!r}: the streams belong to different apps")
        if other.keyed != self.keyed:
            raise PipelineError(f"{what} of {self!r} and {other!r}: one is keyed and the other is not: key_by() both")

    def _named(
        self, kind: str, options: OperatorOptions, *inputs: Node, known: type = OperatorOptions
    ) -> dict[str, Any]:
        """Return the fields that every new node has.

        Args:
            kind: What the operator is, for its name.
            options: What the user has given.
            *inputs: Its inputs; this stream's node by default.
            known: The options that it has.
        """
        if not options.keys() <= known.__annotations__.keys():
            refuse_unknown(kind, options, [*self._parameters(kind), *known.__annotations__])
        name = self._dataflow.name(kind, options.get("name"))
        return {
            "name": name,
            "inputs": inputs or (self._node,),
            "on_error": self._dataflow.policy(options.get("on_error"), name),
        }

    def _parameters(self, operator: str) -> Collection[str]:
        """Return the names of the parameters of one of the operators that are given by name."""
        method = getattr(type(self), operator, None)
        parameters = () if method is None else inspect.signature(method).parameters.values()
        return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]

    def _by_itself(self) -> KeyedStream[Any, Any]:
        """Return the elements keyed by themselves."""
        return self._keyed(self._step(StepKind.KEY_BY, identity, {}))

    def _step(self, kind: StepKind, fn: Function, options: StepOptions) -> Node:
        """Add a per-record step."""
        named = self._named(kind.value, options, known=StepOptions)
        run_async = async_options(named["name"], options, fn)
        return self._dataflow.add(Step(**named, step=kind, fn=fn, keyed=self.keyed, run_async=run_async))


def side_output(dataflow: Dataflow, node: Node, output: str) -> Node:
    """Add the node of one of the side outputs of another."""
    name = dataflow.name("side_output", f"{node.name}.{output}")
    return dataflow.add(SideOutput(name=name, inputs=(node,), output=output))


def async_options(operator: str, options: StepOptions, *functions: Function) -> AsyncOptions | None:
    """Return how to run an operator's functions if one is an ``async def``, else None.

    Raises:
        PipelineError: One is no function, or all are plain, with options that only an ``async def`` can have.
    """
    for fn in functions:
        if not callable(fn):
            raise PipelineError(f"{operator}: expected a function, got {fn!r}")
    given = options.keys() & {"concurrency", "ordered", "timeout", "retry"}
    if not any(map(is_async, functions)):
        if given:
            raise PipelineError(f"{operator}: {', '.join(sorted(given))}: only for an async def function")
        return None
    concurrency, ordered = options.get("concurrency", 100), options.get("ordered", True)
    check_count(f"{operator}: concurrency", concurrency)
    check_flag(f"{operator}: ordered", ordered)
    timeout, retry = options.get("timeout"), options.get("retry")
    if not isinstance(retry, Retry | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PipelineError(f"{operator}: retry is {retry!r}: expected Retry(…)")
    return AsyncOptions(
        concurrency, ordered, None if timeout is None else to_ms(timeout, what=f"the timeout of {operator}"), retry
    )
