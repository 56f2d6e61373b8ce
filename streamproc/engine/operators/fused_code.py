"""Writes the function that runs a chain of per-record steps in one loop.

For ``map(f0) > filter(f1) > key_by(f2)`` over a batch with timestamps it writes

    def fused(values, keys, timestamps, origins, fail, f0, f1, f2):
        out_values, out_keys, out_timestamps, out_origins = [], [], [], []
        rows = iter(values)
        for v0, t in zip(rows, timestamps):
            try:
                v1 = f0(v0)
                if not f1(v1): continue
                k2 = f2(v1)
            except Exception as error:
                fail(error, rows)
                continue
            out_values.append(v1)
            out_keys.append(k2)
            out_timestamps.append(t)
        return out_values, out_keys, out_timestamps, out_origins

so that a chain costs no more than the calls of its functions. A ``flat_map`` opens an inner loop over the list of what
it returned. When a function raises, nothing else was counted or kept to find the record: the row's number is what the
iterator has left, and the step is the line of the code in the traceback (`Loop.at`).
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import length_hint
from typing import Any

from streamproc.dataflow.nodes import Step, StepKind

__all__ = ["FailedAt", "Loop", "write_loop"]

Columns = tuple[list[Any], "list[Any] | None", "list[int] | None", "list[Any] | None"]

_PAIRED = {StepKind.MAP, StepKind.FILTER, StepKind.FLAT_MAP, StepKind.KEY_BY, StepKind.PEEK}
_numbers = count()


@dataclass(frozen=True, slots=True)
class FailedAt:
    """Where in a loop a function raised: the step, the input row, and what the function was given."""

    step: int
    row: int
    value: Any


@dataclass(frozen=True, slots=True)
class Loop:
    """A written and compiled loop.

    Attributes:
        run: The function.
        lines: For each line of code that calls a step's function: the step and the variables it was given.
    """

    run: Callable[..., Columns]
    lines: dict[int, tuple[int, tuple[str, ...]]]

    def at(self, error: Exception, rows: Iterator[Any], size: int) -> FailedAt:
        """Return where in the loop an exception came from.

        Args:
            error: As caught in the loop.
            rows: The loop's iterator over its input.
            size: The length of its input.
        """
        traceback = error.__traceback__
        assert traceback is not None, "the error was raised"
        step, names = self.lines[traceback.tb_lineno]
        given = tuple(traceback.tb_frame.f_locals[name] for name in names)
        return FailedAt(step, size - length_hint(rows) - 1, given[0] if len(given) == 1 else given)


@dataclass(slots=True)
class _Writer:
    """The code while it is written: its lines, the indentation, and the names of the current key and value."""

    lines: list[str] = field(default_factory=list[str])
    calls: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict[int, tuple[int, tuple[str, ...]]])
    depth: int = 1
    value: str = "v0"
    key: str | None = None

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def call(self, step: int, before: str, given: tuple[str, ...], after: str = "") -> None:
        """Write a line that calls a step's function with a value, or with a pair."""
        argument = given[0] if len(given) == 1 else f"({', '.join(given)})"
        self.line(f"{before}f{step}({argument}){after}")
        self.calls[len(self.lines)] = (step, given)

    def open_try(self) -> None:
        self.line("try:")
        self.depth += 1

    def close_try(self) -> None:
        self.depth -= 1
        self.line("except Exception as error:")
        self.line("    fail(error, rows)")
        self.line("    continue")


def write_loop(steps: Sequence[Step], *, keyed: bool, timed: bool, traced: bool) -> Loop:
    """Write and compile the loop of a chain.

    Args:
        steps: The chain.
        keyed: Whether the input has keys.
        timed: Whether it has timestamps; they are then copied to the rows that come out.
        traced: Whether it has origins that are to be kept.
    """
    code = _Writer(key="k0" if keyed else None)
    functions = ", ".join(f"f{number}" for number in range(len(steps)))
    code.depth = 0
    code.line(f"def fused(values, keys, timestamps, origins, fail, {functions}):")
    code.depth = 1
    code.line("out_values, out_keys, out_timestamps, out_origins = [], [], [], []")
    code.line("rows = iter(values)")
    columns = [("v0", "rows")]
    columns += [("k0", "keys")] if keyed else []
    columns += [("t", "timestamps")] if timed else []
    columns += [("o", "origins")] if traced else []
    names, lists = zip(*columns, strict=True)
    over = "rows" if len(columns) == 1 else f"zip({', '.join(lists)})"
    code.line(f"for {', '.join(names)} in {over}:")
    code.depth += 1
    code.open_try()
    for number, step in enumerate(steps):
        _write_step(code, number, step)
    if code.lines[-1].strip() == "try:":
        code.lines.pop()
        code.depth -= 1
    else:
        code.close_try()
    code.line(f"out_values.append({code.value})")
    if code.key:
        code.line(f"out_keys.append({code.key})")
    if timed:
        code.line("out_timestamps.append(t)")
    if traced:
        code.line("out_origins.append(o)")
    code.depth = 1
    kept = ("out_keys" if code.key else None, "out_timestamps" if timed else None, "out_origins" if traced else None)
    code.line(f"return out_values, {', '.join(str(name) for name in kept)}")
    return Loop(_compile(code.lines), code.calls)


def _write_step(code: _Writer, number: int, step: Step) -> None:
    """Write the lines of one step."""
    paired = code.key is not None and step.step in _PAIRED
    given = (code.key, code.value) if paired and code.key else (code.value,)
    new = f"v{number + 1}"
    match step.step:
        case StepKind.MAP:
            code.call(number, f"{new} = ", given)
            code.value, code.key = new, None
        case StepKind.MAP_VALUES:
            code.call(number, f"{new} = ", given)
            code.value = new
        case StepKind.FILTER:
            code.call(number, "if not ", given, ": continue")
        case StepKind.PEEK:
            code.call(number, "", given)
        case StepKind.KEY_BY:
            key = f"k{number + 1}"
            code.call(number, f"{key} = ", given)
            if paired:
                code.line(f"{new} = ({', '.join(given)})")
                code.value = new
            code.key = key
        case StepKind.FLAT_MAP | StepKind.FLAT_MAP_VALUES:
            code.call(number, f"items{number} = list(", given, ")")
            code.close_try()
            code.line(f"for {new} in items{number}:")
            code.depth += 1
            code.open_try()
            code.value = new
            if step.step is StepKind.FLAT_MAP:
                code.key = None


def _compile(lines: list[str]) -> Callable[..., Columns]:
    """Compile the code of a loop under a name of its own, with its lines at hand for tracebacks."""
    source = "\n".join(lines) + "\n"
    filename = f"<streamproc fused loop {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {}
    # The text is made of names above only: no part of it comes from the user.
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102
    fused: Callable[..., Columns] = namespace["fused"]
    return fused
