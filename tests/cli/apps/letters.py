"""An app whose source keeps letters in two partitions, and finds them by time and offset."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from streamproc import App, Once
from streamproc.batch import Segment
from streamproc.connectors.files import FileSink
from streamproc.connectors.generator import GeneratorSource
from streamproc.errors import SourceError
from streamproc.io.source import (
    Extent,
    Limits,
    Position,
    PositionFinder,
    Source,
    SourceBatch,
    SourceContext,
    SourceReader,
)

LETTERS = {"lower/0": "abcde", "lower/1": "vwxyz"}
FIRST = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""The time of each partition's first letter; the others follow, a second apart."""
REMOVED = 1
"""How many letters of each partition are no longer there."""


_MOVED = Path("moved")


@dataclass(frozen=True)
class Letters(Source[str]):
    """Reads the letters; where it was moved to is written to the file ``moved`` in the working directory."""

    @property
    def decoder(self) -> None:
        return None

    def open(self, context: SourceContext) -> SourceReader:
        return LettersReader()

    def finder(self, context: SourceContext) -> PositionFinder:
        return LettersFinder()


class LettersReader(SourceReader):
    def __init__(self) -> None:
        self._positions: dict[str, int] = {}

    async def start(self, positions: Mapping[str, Position]) -> None:
        self._positions = {name: int(positions.get(name, REMOVED)) for name in LETTERS}

    async def take(self, limits: Limits) -> SourceBatch:
        values: list[Any] = []
        segments: list[Segment] = []
        for name, letters in LETTERS.items():
            there = letters[self._positions[name] :]
            if there:
                segments.append(Segment(name, len(there), self._positions[name]))
            values += there
            self._positions[name] = len(letters)
        return SourceBatch(values, segments, dict(self._positions))

    async def wait(self) -> None:
        """Return at once: all is there."""

    @property
    def finished(self) -> bool:
        return all(self._positions[name] == len(letters) for name, letters in LETTERS.items())

    async def bound(self) -> None:
        """Do nothing: no letters are added."""

    async def close(self) -> None:
        """Do nothing: nothing is open."""


class LettersFinder(PositionFinder):
    async def start(self) -> None:
        """Do nothing: nothing has to be opened."""

    async def extents(self) -> Mapping[str, Extent]:
        return {name: Extent(REMOVED, len(letters)) for name, letters in LETTERS.items()}

    async def at(self, time: int, partitions: Collection[str]) -> Mapping[str, Position]:
        number = -(-(time - FIRST) // 1000)
        return {name: min(max(number, REMOVED), len(LETTERS[name])) for name in partitions}

    async def moved(self, positions: Mapping[str, Position]) -> None:
        if os.environ.get("FAIL"):
            raise SourceError("nobody can be told")
        _MOVED.write_text(repr(dict(positions)))  # noqa: ASYNC240 - a few bytes

    async def close(self) -> None:
        """Do nothing: nothing is open."""


def make_app() -> App:
    app = App("letters", trigger=Once())
    app.source(Letters(), name="letters").to(FileSink("out"))
    return app


def make_two() -> App:
    app = App("two", trigger=Once())
    for name in ("letters", "more"):
        app.source(Letters(), name=name).to(FileSink(name), name=f"{name}-out")
    return app


def numbered(number: int, _random: Random) -> int:
    return number


def make_generated() -> App:
    app = App("generated", trigger=Once())
    app.source(GeneratorSource(numbered, rate=math.inf, limit=3), name="numbers").to(FileSink("numbers"))
    return app


app = make_app()
