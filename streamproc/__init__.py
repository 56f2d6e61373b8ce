"""streamproc: an asyncio stream processor with windows, keyed state and exactly-once recovery."""

from streamproc.app import App
from streamproc.batch import Batch
from streamproc.connectors.callable import BatchInfo
from streamproc.dataflow.policies import DeadLetter, DeadLetterRecord, Retry, dead_letter
from streamproc.dataflow.process import KeyedProcess, List, Map, ProcessContext, Timer, Value
from streamproc.errors import (
    CorruptStateError,
    DecodeError,
    EncodeError,
    MissingExtraError,
    OperatorError,
    PipelineError,
    PlanChangedError,
    SettingsError,
    SinkError,
    SourceError,
    StateBehindSinkError,
    StateError,
    StateFormatError,
    StateLockedError,
    StreamprocError,
)
from streamproc.records import Record
from streamproc.settings import Settings
from streamproc.streams import KeyedStream, KeyedWindowedStream, Stream, WindowedStream
from streamproc.triggers import Asap, Interval, Once
from streamproc.windowing import (
    Aggregate,
    Sliding,
    Tumbling,
    WindowResult,
    collect,
    count,
    max_of,
    mean_of,
    min_of,
    reducing,
    sum_of,
)

__all__ = [
    "Aggregate",
    "App",
    "Asap",
    "Batch",
    "BatchInfo",
    "CorruptStateError",
    "DeadLetter",
    "DeadLetterRecord",
    "DecodeError",
    "EncodeError",
    "Interval",
    "KeyedProcess",
    "KeyedStream",
    "KeyedWindowedStream",
    "List",
    "Map",
    "MissingExtraError",
    "Once",
    "OperatorError",
    "PipelineError",
    "PlanChangedError",
    "ProcessContext",
    "Record",
    "Retry",
    "Settings",
    "SettingsError",
    "SinkError",
    "Sliding",
    "SourceError",
    "StateBehindSinkError",
    "StateError",
    "StateFormatError",
    "StateLockedError",
    "Stream",
    "StreamprocError",
    "Timer",
    "Tumbling",
    "Value",
    "WindowResult",
    "WindowedStream",
    "collect",
    "count",
    "dead_letter",
    "max_of",
    "mean_of",
    "min_of",
    "reducing",
    "sum_of",
]
