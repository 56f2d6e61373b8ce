"""Every error that streamproc raises, in one hierarchy.

A message says what happened, where, what was expected, and what to do about it. Errors that a program may want to tell
apart have a class of their own; all derive from `StreamprocError`.
"""

from __future__ import annotations

__all__ = [
    "CorruptStateError",
    "DecodeError",
    "EncodeError",
    "FencedError",
    "MissingExtraError",
    "OperatorError",
    "PipelineError",
    "PlanChangedError",
    "SettingsError",
    "SinkBehindStateError",
    "SinkError",
    "SourceError",
    "StateBehindSinkError",
    "StateError",
    "StateFormatError",
    "StateLockedError",
    "StopTimeoutError",
    "StreamprocError",
    "UnknownAttributeError",
]


class StreamprocError(Exception):
    """The root of all errors raised by streamproc."""


class PipelineError(StreamprocError):
    """The pipeline is built wrongly; raised while it is built, before any record is read."""


class UnknownAttributeError(PipelineError, AttributeError):
    """A stream, windows or a state variable was asked for a method that it doesn't have.

    An `AttributeError` too, so that ``hasattr`` can ask.
    """


class SettingsError(StreamprocError):
    """A setting is unknown, of the wrong type, or out of range."""


class MissingExtraError(StreamprocError, ImportError):
    """A feature needs a package that is not installed. An `ImportError` too: it can come from an import.

    Args:
        feature: What was asked for, for example ``"zstd decompression"``.
        extra: The extra of streamproc that brings the package, for example ``"zstd"``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs a package that is not installed: pip install 'streamproc[{extra}]'")
        self.extra = extra


class OperatorError(StreamprocError):
    """A user's function failed on a record, and the error policy of its operator is to fail.

    The message names the operator, the function with its file and line, the position of the record in its source, and
    the record, cut short. The function's own exception is the `__cause__`.
    """


class EncodeError(StreamprocError):
    """A value cannot be written: to state, to the outbox, or by a sink's format."""


class DecodeError(StreamprocError):
    """Bytes cannot be read as what they should be."""


class SourceError(StreamprocError):
    """A source cannot go on: its input is gone, unreadable, or not where the committed position says."""


class SinkError(StreamprocError):
    """A sink cannot publish."""


class FencedError(SinkError):
    """Another instance of the same app and shard has taken over; this one has published nothing since."""


class StopTimeoutError(StreamprocError):
    """A stop took longer than ``stop_timeout``. Nothing is lost: the next start goes on behind the last commit."""


class StateError(StreamprocError):
    """The root of what can be wrong with a state store."""


class StateLockedError(StateError):
    """Another process, or another app in this process, has the state directory open."""


class CorruptStateError(StateError):
    """A state file is damaged or missing; the message names it. Nothing was answered from it."""


class StateFormatError(StateError):
    """The state was written in a format, or for a job identity, that this program does not read."""


class PlanChangedError(StateError):
    """The pipeline lost or changed an operator that has state in the store."""


class StateBehindSinkError(StateError):
    """A sink has published a later batch than the state store has committed: the state is lost or an old copy."""


class SinkBehindStateError(StateError):
    """A sink has lost a batch that it had acknowledged; publishing further ones would leave a gap or double some."""
