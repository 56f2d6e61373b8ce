"""The fluent API: it only builds nodes of the dataflow."""

from streamproc.streams.handle import OperatorOptions, StepOptions
from streamproc.streams.stream import (
    KeyedStream,
    KeyedWindowResults,
    ProcessResults,
    RateLimitedStream,
    Stream,
    WindowResults,
)
from streamproc.streams.windowed import KeyedWindowedStream, WindowedStream

__all__ = [
    "KeyedStream",
    "KeyedWindowResults",
    "KeyedWindowedStream",
    "OperatorOptions",
    "ProcessResults",
    "RateLimitedStream",
    "StepOptions",
    "Stream",
    "WindowResults",
    "WindowedStream",
]
