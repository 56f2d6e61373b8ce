"""The console shows the first rows of each batch."""

from __future__ import annotations

from io import StringIO
from typing import TextIO

import pytest

from streamproc.batch import Batch
from streamproc.connectors.console import ConsoleSink
from streamproc.errors import PipelineError, SinkError
from streamproc.io.sink import OutboxEntry, SinkContext
from streamproc.testing import VirtualClock, check_sink


async def publish(sink: ConsoleSink, batch: Batch, *, time: int = 1_700_000_000_250) -> None:
    writer = sink.open(SinkContext("app", "show", VirtualClock()))
    await writer.start()
    await writer.publish(OutboxEntry(3, time, writer.encode(batch)))
    await writer.close()


async def printed(sink: ConsoleSink, batch: Batch) -> str:
    assert isinstance(sink.stream, StringIO)
    await publish(sink, batch)
    return sink.stream.getvalue()


async def test_a_batch_is_printed_below_its_time() -> None:
    sink = ConsoleSink(limit=2, label="pages", stream=StringIO())
    assert await printed(sink, Batch(["/", "/a", "/b", "/c"])) == (
        "-------------------------------------------\n"
        "Time: 2023-11-14T22:13:20.250Z pages\n"
        "-------------------------------------------\n"
        "/\n"
        "/a\n"
        "... (2 more)\n"
        "\n"
    )


async def test_rows_of_a_keyed_stream_are_pairs() -> None:
    text = await printed(ConsoleSink(stream=StringIO()), Batch([3, 1], keys=["/", "/a"]))
    assert text.splitlines()[1:] == [
        "Time: 2023-11-14T22:13:20.250Z",
        "-------------------------------------------",
        "('/', 3)",
        "('/a', 1)",
        "",
    ]


@pytest.mark.parametrize(("limit", "last"), [(0, "... (12 more)"), (10, "... (2 more)"), (12, "11"), (None, "11")])
async def test_the_limit_is_of_rows(limit: int | None, last: str) -> None:
    text = await printed(ConsoleSink(limit, stream=StringIO()), Batch(list(range(12))))
    assert text.splitlines()[-2] == last


async def test_it_prints_to_what_is_standard_output_then(capsys: pytest.CaptureFixture[str]) -> None:
    await publish(ConsoleSink(), Batch(["héllo"]))
    assert capsys.readouterr().out.endswith("-\nhéllo\n\n")


async def test_text_that_is_no_unicode_is_printed_escaped() -> None:
    assert "caf\\udce9\n" in await printed(ConsoleSink(stream=StringIO()), Batch(["caf\udce9"]))


async def test_a_closed_stream_is_an_error_that_names_the_sink() -> None:
    stream: TextIO = StringIO()
    stream.close()
    with pytest.raises(SinkError, match=r"sink 'show' can't print batch 3: .*closed"):
        await publish(ConsoleSink(stream=stream), Batch([1]))


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(PipelineError, match="limit is -1, expected None, or zero or more rows"):
        ConsoleSink(limit=-1)


async def test_it_conforms() -> None:
    def batches(sink: ConsoleSink) -> list[str]:
        assert isinstance(sink.stream, StringIO)
        return sink.stream.getvalue().split("\n\n")[:-1]

    await check_sink(lambda: ConsoleSink(stream=StringIO()), [["a"], ["b", "c"], ["d"]], read=batches)
