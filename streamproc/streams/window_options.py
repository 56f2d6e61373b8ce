"""What ``window`` is given: an assigner, and when and how its windows give results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from streamproc.arguments import check_plain, refuse_unknown
from streamproc.dataflow.window_nodes import Panes, ResultTime
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.streams.handle import OperatorOptions
from streamproc.windowing.assigners import (
    Assigner,
    Calendar,
    Count,
    Global,
    LookBack,
    Session,
    Sliding,
    Tumbling,
    WindowAssigner,
)
from streamproc.windowing.at_watermark import AtWatermark
from streamproc.windowing.triggers import OnClose, OnUpdate, WindowTrigger, check_trigger

__all__ = ["WindowOptions", "Windowing"]

_ASSIGNERS = (Tumbling, Sliding, Calendar, Session, LookBack, Count, Global, Assigner)


class WindowOptions(TypedDict, total=False):
    """What windows of an assigner can be given.

    Keys:
        trigger: When a window gives results; `AtWatermark` by default: once, and again with late records.
        emit: Instead of a trigger: ``"final"`` for one result when the window closes, its allowed lateness over;
            ``"update"`` for one with each batch that changes it.
        allowed_lateness: For how long after its end a window takes records that are late.
        panes: What a further result of a window is: ``"accumulating"`` of all its records, ``"discarding"`` of those
            since the last one, ``"retracting"`` of all, behind the last one with ``retracts``. Accumulating by default.
        result_time: What time results have: ``"end"`` is the last millisecond of their window, ``"earliest"`` and
            ``"latest"`` are the times of records. By default ``"end"``, and ``"latest"`` for `Global`, which has none.
    """

    trigger: WindowTrigger
    emit: Literal["final", "update"]
    allowed_lateness: Duration
    panes: Panes
    result_time: ResultTime


@dataclass(frozen=True, slots=True)
class Windowing:
    """Windows, and when and how they give results."""

    assigner: WindowAssigner
    trigger: WindowTrigger
    allowed_lateness_ms: int
    panes: Panes
    result_time: ResultTime

    @classmethod
    def of(cls, assigner: WindowAssigner, options: WindowOptions) -> Windowing:
        """Return what a user has said, checked.

        Raises:
            PipelineError: It is no assigner, or an option is wrong.
        """
        if isinstance(assigner, type) or not (isinstance(assigner, _ASSIGNERS) or hasattr(assigner, "slide_ms")):
            raise PipelineError(f'window: expected Tumbling("10s"), Session("30m"), … or a length, got {assigner!r}')
        for option in options.keys() & OperatorOptions.__annotations__.keys():
            raise PipelineError(f"window has no option {option!r}: give it to the aggregate(…) or reduce(…) behind it")
        refuse_unknown("window", options, WindowOptions.__annotations__)
        if isinstance(assigner, Assigner):
            check_plain(f"window: assign of {assigner}", assigner.assign)
        if isinstance(assigner, Count) and options:
            raise PipelineError(
                f"window(Count(…), {', '.join(options)}=…): windows of so many records give one result, when they have "
                f"them; they have no end in time"
            )
        panes = _one_of("panes", options.get("panes", "accumulating"), Panes)
        usual = "latest" if isinstance(assigner, Global) else "end"
        result_time = _one_of("result_time", options.get("result_time", usual), ResultTime)
        lateness = to_ms(options.get("allowed_lateness", "0s"), what="allowed_lateness", zero=True)
        return cls(assigner, _trigger(options), lateness, panes, result_time)

    @property
    def gives_one_result_a_slice(self) -> bool:
        """Whether windows are the same for all keys, and give what they hold when the watermark is at their end."""
        periodic = isinstance(self.assigner, Calendar) or hasattr(self.assigner, "slide_ms")
        accumulates = self.panes == "accumulating" or not self.allowed_lateness_ms
        return periodic and accumulates and self.trigger == AtWatermark() and self.result_time == "end"


def _trigger(options: WindowOptions) -> WindowTrigger:
    """Return the trigger that is asked for.

    Raises:
        PipelineError: There are two, or it is none.
    """
    emit, trigger = options.get("emit"), options.get("trigger")
    if emit is not None and trigger is not None:
        raise PipelineError("window: emit= is a name for a trigger: give one of emit= and trigger=")
    if trigger is not None:
        check_trigger("window", trigger)
        return trigger
    if emit is None:
        return AtWatermark()
    return OnClose() if _one_of("emit", emit, Literal["final", "update"]) == "final" else OnUpdate()


def _one_of(option: str, given: Any, choices: Any) -> Any:
    expected = get_args(choices)
    if given not in expected:
        raise PipelineError(f"window: {option} is {given!r}: expected {', '.join(map(repr, expected))}")
    return given
