"""What tests of streaming applications need: virtual time, a test driver, doubles, conformance suites."""

from __future__ import annotations

from streamproc.testing.clock import VirtualClock
from streamproc.testing.crash import CrashPoint, SimulatedCrash, Steps
from streamproc.testing.driver import Driver
from streamproc.testing.journal import MemoryJournal
from streamproc.testing.run import run
from streamproc.testing.sinks import check_sink
from streamproc.testing.sources import check_source
from streamproc.testing.stores import check_store

__all__ = [
    "CrashPoint",
    "Driver",
    "MemoryJournal",
    "SimulatedCrash",
    "Steps",
    "VirtualClock",
    "check_sink",
    "check_source",
    "check_store",
    "run",
]
