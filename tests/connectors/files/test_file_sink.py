"""Part files: exactly-once, whatever happens between two steps."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamproc.batch import Batch
from streamproc.connectors.files import Csv, FileSink, Format, Ndjson, Roll, Text
from streamproc.errors import PipelineError, SinkError
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter
from streamproc.records import Record
from streamproc.testing import CrashPoint, SimulatedCrash, Steps, VirtualClock, check_sink


class Hit(Record):
    page: str
    count: int


def parts(directory: Path) -> dict[str, str]:
    """What readers of the directory see."""
    return {path.name: path.read_text() for path in sorted(directory.iterdir()) if not path.name.startswith(".")}


def published(directory: Path) -> list[str]:
    """The lines of all parts, and those of the open one as far as the manifest says that they are published."""
    texts = parts(directory) if directory.exists() else {}
    for path in directory.glob(".streamproc-*.json"):
        manifest = json.loads(path.read_text())
        if manifest["part"] is not None and manifest["part"] not in texts:
            data = (directory / f".{manifest['part']}.open").read_bytes()
            texts[manifest["part"]] = data[: manifest["length"]].decode()
    # The header of a CSV part is no row.
    return [line for name, text in sorted(texts.items()) for line in text.splitlines()[name.endswith(".csv") :]]


class Run:
    """One app that writes to a sink."""

    def __init__(self, sink: FileSink, *, name: str = "out", shard: int = 0, steps: Steps | None = None) -> None:
        self.sink = sink
        self.context = SinkContext("app", name, VirtualClock(), shard, 2, steps or Steps())

    async def __aenter__(self) -> Run:
        self.writer: SinkWriter = self.sink.open(self.context)
        self.last = await self.writer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.writer.close()

    async def publish(self, batch_id: int, *rows: Any, at: int = 0, keys: list[Any] | None = None) -> None:
        payload = self.writer.encode(Batch(list(rows), keys))
        await self.writer.publish(OutboxEntry(batch_id, at, payload))


async def test_each_batch_is_a_part_of_its_own(tmp_path: Path) -> None:
    async with Run(FileSink(tmp_path / "new" / "out")) as run:
        assert run.last is None
        await run.publish(3, Hit("/", 2), {"x": None})
        await run.publish(12, "k", at=5, keys=[1])
    assert parts(tmp_path / "new" / "out") == {
        "part-0-000000000003.ndjson": '{"page":"/","count":2}\n{"x":null}\n',
        "part-0-000000000012.ndjson": '{"key":1,"value":"k"}\n',
    }
    async with Run(FileSink(tmp_path / "new" / "out")) as run:
        assert run.last == 12


async def test_text_and_csv_parts(tmp_path: Path) -> None:
    async with Run(FileSink(tmp_path / "t", Text(), prefix="lines")) as run:
        await run.publish(1, "a", 2, keys=["k", "l"])
        await run.publish(2, 1.5, None, "x")
    assert parts(tmp_path / "t") == {
        "lines-0-000000000001.txt": "k\ta\nl\t2\n",
        "lines-0-000000000002.txt": "1.5\nNone\nx\n",
    }


async def test_parts_roll_by_size_and_by_the_time_of_batches(tmp_path: Path) -> None:
    async with Run(FileSink(tmp_path, Text(), roll=Roll(size_bytes=10, every="1m"))) as run:
        await run.publish(1, "1234", at=0)
        await run.publish(2, "6789", at=1)
        await run.publish(3, "a", at=100)
        await run.publish(4, "b", at=60_099)
        assert list(parts(tmp_path)) == ["part-0-000000000001.txt"]
        await run.publish(5, "c", at=60_100)
        await run.publish(6, "d", at=60_101)
        assert parts(tmp_path) == {
            "part-0-000000000001.txt": "1234\n6789\n",
            "part-0-000000000003.txt": "a\nb\nc\n",
        }
    assert parts(tmp_path)["part-0-000000000006.txt"] == "d\n"


async def test_a_csv_part_has_one_header_and_one_kind_of_rows(tmp_path: Path) -> None:
    async with Run(FileSink(tmp_path, Csv(), roll=Roll(every="1h"))) as run:
        await run.publish(1, Hit("/", 1))
        await run.publish(2, Hit("/a", 2))
        await run.publish(3, {"other": 3})
        await run.publish(4, {"other": 4})
    assert parts(tmp_path) == {
        "part-0-000000000001.csv": "page,count\n/,1\n/a,2\n",
        "part-0-000000000003.csv": "other\n3\n4\n",
    }


SINKS: dict[str, Callable[[Path], FileSink]] = {
    "each": lambda path: FileSink(path, Text()),
    "size": lambda path: FileSink(path, Text(), roll=Roll(size_bytes=9)),
    "age": lambda path: FileSink(path, Csv(), roll=Roll(every="3s")),
    "long": lambda path: FileSink(path, Ndjson(), roll=Roll(size_bytes=1 << 20)),
}


@pytest.mark.parametrize("name", ["each", "age", "long"])
async def test_the_conformance_suite(tmp_path: Path, name: str) -> None:
    numbers = itertools.count()
    batches: list[list[Any]] = [["b1"], ["b2", "b2"], ["b3"]]
    if name == "age":
        batches[1:] = [[Hit("b2", 1)], [Hit("b3", 1)]]
    await check_sink(
        lambda: SINKS[name](tmp_path / f"{next(numbers)}"), batches, read=lambda sink: published(Path(sink.directory))
    )


BATCHES = [("a1",), ("b1", "b2"), ("c1 " + "c" * 20,), ("d1",), ("e1",), ("f1", "f2")]


async def publish_all(run: Run) -> None:
    """Publish as the engine does: those that the sink does not know, in order."""
    async with run:
        for number, rows in enumerate(BATCHES, 1):
            if number > (run.last or 0):
                await run.publish(number, *rows, at=1000 * number)


@pytest.mark.parametrize("name", ["each", "size", "age"])
async def test_the_very_same_files_after_a_crash_at_any_step(tmp_path: Path, name: str) -> None:
    steps = Steps()
    await publish_all(Run(SINKS[name](tmp_path / "undisturbed"), steps=steps))
    wanted = parts(tmp_path / "undisturbed")
    assert {point.step for point in steps.reached} >= {"part_written", "part_renamed", "manifest_renamed"}

    for number, point in enumerate(steps.reached):
        directory = tmp_path / str(number)
        await crash(SINKS[name](directory), point)
        await publish_all(Run(SINKS[name](directory)))
        assert parts(directory) == wanted, f"after a crash at {point}"
        assert not [name for name in os.listdir(directory) if name.endswith(".open")]


async def crash(sink: FileSink, point: CrashPoint) -> None:
    steps = Steps()
    steps.arm(point.step, point.occurrence)
    run = Run(sink, steps=steps)
    try:
        await run.__aenter__()
        for number, rows in enumerate(BATCHES, 1):
            await run.publish(number, *rows, at=1000 * number)
        await run.__aexit__()
    except SimulatedCrash:
        return
    raise AssertionError(f"no crash at {point}")


async def test_a_torn_write_is_cut_away(tmp_path: Path) -> None:
    sink = FileSink(tmp_path, Text(), roll=Roll(size_bytes=1000))
    writer = sink.open(Run(sink).context)
    await writer.start()
    await writer.publish(OutboxEntry(1, 0, writer.encode(Batch(["whole"]))))
    with (tmp_path / ".part-0-000000000001.txt.open").open("a") as file:
        file.write("torn, and longer than what comes next")

    async with Run(sink) as run:
        assert run.last == 1
        await run.publish(1, "whole")
        await run.publish(2, "second")
    assert parts(tmp_path) == {"part-0-000000000001.txt": "whole\nsecond\n"}


async def test_an_orderly_stop_shows_the_open_part_and_the_next_start_begins_another(tmp_path: Path) -> None:
    sink = FileSink(tmp_path, Text(), roll=Roll(size_bytes=1000))
    async with Run(sink) as run:
        await run.publish(1, "a")
        assert parts(tmp_path) == {}
    assert parts(tmp_path) == {"part-0-000000000001.txt": "a\n"}
    async with Run(sink) as run:
        await run.publish(2, "b")
    assert list(parts(tmp_path)) == ["part-0-000000000001.txt", "part-0-000000000002.txt"]


async def test_another_format_or_prefix_begins_another_part(tmp_path: Path) -> None:
    writer = FileSink(tmp_path, Text(), roll=Roll(every="1h")).open(Run(FileSink(tmp_path)).context)
    await writer.start()
    await writer.publish(OutboxEntry(1, 0, writer.encode(Batch(["a"]))))
    async with Run(FileSink(tmp_path, Ndjson(), roll=Roll(every="1h"), prefix="p")) as run:
        assert parts(tmp_path) == {"part-0-000000000001.txt": "a\n"}
        await run.publish(2, "b")
    assert parts(tmp_path)["p-0-000000000002.ndjson"] == '"b"\n'


async def test_published_files_that_somebody_changed_are_an_error_and_stay_as_they_are(tmp_path: Path) -> None:
    sink = FileSink(tmp_path, Text())
    (tmp_path / "part-0-000000000001.txt").write_text("precious\n")
    async with Run(sink) as run:
        with pytest.raises(SinkError, match=r"part-0-000000000001\.txt is not what was published"):
            await run.publish(1, "a")
    assert parts(tmp_path) == {"part-0-000000000001.txt": "precious\n"}

    rolled = FileSink(tmp_path / "rolled", Text(), roll=Roll(every="1h"))
    writer = rolled.open(Run(rolled).context)
    await writer.start()
    await writer.publish(OutboxEntry(1, 0, writer.encode(Batch(["abc"]))))
    (tmp_path / "rolled" / ".part-0-000000000001.txt.open").write_text("a")
    with pytest.raises(SinkError, match="expected at least 4 bytes, found 1 bytes"):
        await rolled.open(Run(rolled).context).start()


async def test_a_damaged_manifest_is_an_error(tmp_path: Path) -> None:
    async with Run(FileSink(tmp_path, Text())) as run:
        await run.publish(1, "a")
    manifest = tmp_path / ".streamproc-app-out-0.json"
    manifest.write_bytes(manifest.read_bytes()[:20])
    with pytest.raises(SinkError, match=r"\.streamproc-app-out-0\.json is damaged"):
        await FileSink(tmp_path, Text()).open(run.context).start()


async def test_two_sinks_share_a_directory_only_with_different_prefixes(tmp_path: Path) -> None:
    async with Run(FileSink(tmp_path, Text()), name="one") as one:
        await one.publish(1, "a")
        with pytest.raises(SinkError, match="would write the same part files as sink 'one'"):
            await Run(FileSink(tmp_path, Text()), name="two").__aenter__()
        async with Run(FileSink(tmp_path, Text(), prefix="two"), name="two") as two:
            await two.publish(1, "b")
        async with Run(FileSink(tmp_path, Text()), name="one", shard=1) as other_shard:
            await other_shard.publish(1, "c")
    assert list(parts(tmp_path)) == [f"{stem}-000000000001.txt" for stem in ("part-0", "part-1", "two-0")]


async def test_what_cant_be_written_is_a_sink_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"can't write to .*file"):
        await Run(FileSink(tmp_path / "file")).__aenter__()


def test_wrong_definitions_fail_at_once(tmp_path: Path) -> None:
    for prefix in ("", ".hidden", "_x", "a/b"):
        with pytest.raises(PipelineError, match="prefix"):
            FileSink(tmp_path, prefix=prefix)
    with pytest.raises(PipelineError, match="size_bytes, every, or both"):
        Roll()
    with pytest.raises(PipelineError, match="at least 1"):
        Roll(size_bytes=0)


@pytest.mark.parametrize("format", [Ndjson(Hit), Csv(Hit, columns=["page", "count"])])
def test_records_read_back(format: Format[Hit]) -> None:
    hits = [Hit('a "b",\n', 1), Hit("\u00e9", 2)]
    body = format.encode(Batch(hits)).body
    records, used = format.split(body)
    assert used == len(body)
    assert format.decoder.decode_many(records) == hits
