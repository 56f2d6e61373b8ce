"""What to do with a record on which a user's function fails, and how to run functions that await."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from streamproc.arguments import check_count
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.sink import Sink
from streamproc.records import Record

__all__ = ["AsyncOptions", "DeadLetter", "DeadLetterRecord", "ErrorPolicy", "Retry", "dead_letter"]


class DeadLetterRecord(Record):
    """A record that failed, with all that is known about why.

    Attributes:
        value: The record as it came to the operator; for undecodable input the bytes.
        error: The exception's type and message.
        operator: The name of the operator.
        position: Where the record came from: source, partition and position; None behind an aggregation.
        time: The trigger time of the batch, in epoch milliseconds.
    """

    value: Any
    error: str
    operator: str
    position: str | None
    time: int


@dataclass(frozen=True, eq=False, slots=True)
class DeadLetter:
    """The policy to deliver failed records to a sink; made by `dead_letter`."""

    sink: Sink[DeadLetterRecord]


ErrorPolicy: TypeAlias = "Literal['fail', 'skip'] | DeadLetter"
"""``"fail"`` stops the job with an `OperatorError`; ``"skip"`` counts and logs the record; `DeadLetter` delivers it."""


_WORDS: tuple[Literal["fail"], Literal["skip"]] = ("fail", "skip")


def dead_letter(sink: Sink[DeadLetterRecord]) -> DeadLetter:
    """Deliver failed records to a sink as `DeadLetterRecord`, exactly-once like any other output.

    Pass the returned object to several operators, or to the app, to share the sink.
    """
    return DeadLetter(sink)


def check_policy(policy: object, operator: str) -> ErrorPolicy:
    """Return the policy, or raise a `PipelineError` for anything that is none."""
    if isinstance(policy, DeadLetter):
        return policy
    for word in _WORDS:
        if policy == word:
            return word
    raise PipelineError(f'{operator}: on_error is {policy!r}: expected "fail", "skip" or dead_letter(sink)')


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Try a failed call again, waiting twice as long each time.

    Attributes:
        attempts: How often to call at most, the first call included.
        backoff_ms: How long to wait before the second call, in milliseconds.
        retry_on: Which exceptions are worth another try; a time-out is a `TimeoutError`.
    """

    attempts: int
    backoff_ms: int
    retry_on: tuple[type[Exception], ...]

    def __init__(
        self, attempts: int = 3, *, backoff: Duration = "100ms", retry_on: tuple[type[Exception], ...] = (Exception,)
    ) -> None:
        check_count("Retry: attempts", attempts)
        object.__setattr__(self, "attempts", attempts)
        object.__setattr__(self, "backoff_ms", to_ms(backoff, what="the retry's backoff", zero=True))
        object.__setattr__(self, "retry_on", retry_on)


@dataclass(frozen=True, slots=True)
class AsyncOptions:
    """How an ``async def`` function is run over the records of a batch.

    Attributes:
        concurrency: How many calls may be under way at once.
        ordered: Whether results keep the order of their records; else they come as they are done.
        timeout_ms: How long one call may take, or None.
        retry: Whether and how to try again.
    """

    concurrency: int = 100
    ordered: bool = True
    timeout_ms: int | None = None
    retry: Retry | None = None


Function: TypeAlias = Callable[..., Any]
