"""Outputs: what ends a pipeline. Each is a sink; a pipeline without one is never run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar, Unpack

from streamproc.connectors.callable import BatchInfo, CallableSink
from streamproc.connectors.console import ConsoleSink
from streamproc.connectors.files import TextFilesSink
from streamproc.dataflow.nodes import Write
from streamproc.errors import PipelineError
from streamproc.io.sink import Sink
from streamproc.streams.handle import Handle, OperatorOptions

if TYPE_CHECKING:
    from typing import Any

__all__ = ["Outputs"]

T = TypeVar("T")


class Outputs(Handle, Generic[T]):
    """The outputs of a stream."""

    def to(self, sink: Sink[T], /, **options: Unpack[OperatorOptions]) -> None:
        """Write the elements to a sink, with the sink's guarantee."""
        self._write("sink", sink, options)

    def print(self, n: int | None = 10, /, *, label: str = "", **options: Unpack[OperatorOptions]) -> None:
        """Print the first elements of each batch, below a line with its time; Spark's ``pprint``.

        Args:
            n: How many elements at most; None for all.
            label: What to write in the line with the time.
            **options: See `OperatorOptions`.
        """
        self._write("print", ConsoleSink(limit=n, label=label), options)

    def save_as_text_files(self, prefix: str, suffix: str = "", /, **options: Unpack[OperatorOptions]) -> None:
        """Write each batch that has elements to a text file ``prefix-TIME.suffix``, a line each, exactly-once.

        Args:
            prefix: The beginning of the files' names, with their directory.
            suffix: Their ending, without the dot.
            **options: See `OperatorOptions`.
        """
        self._write("save_as_text_files", TextFilesSink(prefix, suffix), options)

    def foreach_batch(
        self,
        fn: Callable[[list[T], BatchInfo], object] | Callable[[list[T], BatchInfo], Awaitable[object]],
        /,
        **options: Unpack[OperatorOptions],
    ) -> None:
        """Call a function with the elements of each batch that has some, after the batch is committed.

        At-least-once: a batch is given again if a crash comes before the function has returned. `BatchInfo.batch_id`
        is then the same, so that an idempotent function makes it exactly-once.
        """
        self._write("foreach_batch", CallableSink(fn), options)

    def _write(self, kind: str, sink: Sink[Any], options: OperatorOptions) -> None:
        if not isinstance(sink, Sink):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"{kind}: expected a sink such as FileSink(...), got {sink!r}")
        self._dataflow.add(Write(**self._named(kind, options), sink=sink))
