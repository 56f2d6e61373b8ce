"""One text file per batch, as `save_as_text_files` writes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from streamproc.batch import Batch
from streamproc.connectors.files import TextFilesSink
from streamproc.errors import PipelineError
from streamproc.io.sink import OutboxEntry, SinkContext
from streamproc.testing import VirtualClock, check_sink


def files(prefix: Path) -> list[tuple[str, str]]:
    return sorted((path.name, path.read_text()) for path in prefix.parent.glob(f"{prefix.name}-*"))


async def test_files_are_named_by_the_time_of_the_batch(tmp_path: Path) -> None:
    prefix = tmp_path / "deep" / "counts"
    for suffix, shards in (("txt", 1), (".log", 2), ("", 1)):
        writer = TextFilesSink(prefix, suffix).open(SinkContext("app", f"out{suffix}", VirtualClock(), 0, shards))
        assert await writer.start() is None
        await writer.publish(OutboxEntry(1, 1500, writer.encode(Batch([1, 2], ["a", "b"]))))
        await writer.close()
    text = "('a', 1)\n('b', 2)\n"
    assert files(prefix) == [("counts-1500", text), ("counts-1500-0.log", text), ("counts-1500.txt", text)]


async def test_the_conformance_suite(tmp_path: Path) -> None:
    numbers = itertools.count()
    await check_sink(
        lambda: TextFilesSink(tmp_path / f"{next(numbers)}" / "p", "txt"),
        [["a"], ["b", "c"], ["d"]],
        read=lambda sink: [line for _, text in files(Path(sink.prefix)) for line in text.splitlines()],
    )


def test_a_prefix_must_end_in_a_name(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="part of a file name"):
        TextFilesSink(f"{tmp_path}/")
