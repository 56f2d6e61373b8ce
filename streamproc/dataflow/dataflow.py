"""`Dataflow`: collects the nodes of an app while its pipelines are built, and refuses wrong ones at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from streamproc.dataflow.nodes import DeadLetterSink, Node, Write
from streamproc.dataflow.policies import DeadLetter, ErrorPolicy, check_policy
from streamproc.durations import format_ms
from streamproc.errors import PipelineError
from streamproc.io.sink import Sink
from streamproc.triggers import Interval, Trigger

__all__ = ["Dataflow", "check_window", "in_order"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Dataflow:
    """The logical plan of one app, under construction.

    Args:
        trigger: When batches begin; windows in batch time must fit it.
        on_error: The error policy of operators that have none of their own.
    """

    def __init__(self, *, trigger: Trigger, on_error: ErrorPolicy) -> None:
        self.trigger = trigger
        self.on_error: ErrorPolicy = on_error
        self.nodes: list[Node] = []
        self._names: dict[str, str] = {}
        self._kinds: Counter[str] = Counter()

    def name(self, kind: str, given: str | None) -> str:
        """Return the name of a new operator: the given one, or its kind and number.

        Raises:
            PipelineError: The name is taken, or has characters that a state key or a file name can't have.
        """
        if given is None:
            self._kinds[kind] += 1
            given = f"{kind}-{self._kinds[kind]}"
        elif not isinstance(given, str) or not _NAME.fullmatch(given):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"the operator name {given!r}: expected text of letters, digits, '_', '.' and '-'")
        if given in self._names:
            raise PipelineError(
                f"two operators are named {given!r} (a {self._names[given]} and a {kind}): give one another name="
            )
        self._names[given] = kind
        return given

    def policy(self, given: ErrorPolicy | None, operator: str) -> ErrorPolicy:
        """Return an operator's error policy: its own if it has one, else the app's; opens a dead letter's sink."""
        policy: ErrorPolicy = self.on_error if given is None else check_policy(given, operator)
        if isinstance(policy, DeadLetter) and not any(
            isinstance(node, DeadLetterSink) and node.policy is policy for node in self.nodes
        ):
            self._refuse_second_use(policy.sink)
            self.nodes.append(DeadLetterSink(name=self.name("dead_letter", None), policy=policy))
        return policy

    def add(self, node: Node) -> Node:
        """Take a new node and return it.

        Raises:
            PipelineError: It writes to a sink that another node writes to.
        """
        if isinstance(node, Write):
            self._refuse_second_use(node.sink)
        self.nodes.append(node)
        return node

    @property
    def outputs(self) -> list[Write | DeadLetterSink]:
        """The nodes that write to sinks, in the order in which they were built."""
        return [node for node in self.nodes if isinstance(node, Write | DeadLetterSink)]

    def _refuse_second_use(self, sink: Sink[Any]) -> None:
        for node in self.outputs:
            other = node.policy.sink if isinstance(node, DeadLetterSink) else node.sink
            if other is sink or (sink.delivery == "exactly_once" and other == sink):
                raise PipelineError(
                    f"two outputs write to one sink ({sink!r}, already written to by {node.name!r}): "
                    f"union the streams before it, or give each its own sink"
                )


def in_order(outputs: Sequence[Node]) -> list[Node]:
    """Return all nodes that outputs depend on, and the outputs: inputs first, each once."""
    ordered: dict[Node, None] = {}
    open_nodes = list(reversed(outputs))
    while open_nodes:
        node = open_nodes[-1]
        missing = [source for source in node.inputs if source not in ordered]
        if missing:
            open_nodes += reversed(missing)
        else:
            ordered.setdefault(open_nodes.pop())
    return list(ordered)


def check_window(what: str, duration_ms: int, trigger: Trigger) -> None:
    """Refuse a window length or slide in batch time that is no multiple of the batch interval.

    Raises:
        PipelineError: It isn't.
    """
    if isinstance(trigger, Interval) and duration_ms % trigger.every_ms:
        raise PipelineError(
            f"{what} is {format_ms(duration_ms)}, which is no multiple of the batch interval of "
            f"{format_ms(trigger.every_ms)}: change one of them, or use event time"
        )
