"""A memory sink shows what was published, once, whatever happens to the engine."""

from __future__ import annotations

from streamproc.batch import Batch
from streamproc.connectors.memory import MemorySink
from streamproc.io.sink import OutboxEntry, SinkContext
from streamproc.records import Record
from streamproc.testing import VirtualClock, check_sink


class Count(Record):
    page: str
    views: int


def context(shard: int = 0) -> SinkContext:
    return SinkContext("app", "sink", VirtualClock(), shard, 2)


async def publish(sink: MemorySink[object], batch_id: int, batch: Batch, *, shard: int = 0) -> None:
    writer = sink.open(context(shard))
    await writer.start()
    await writer.publish(OutboxEntry(batch_id, 0, writer.encode(batch)))
    await writer.close()


async def test_rows_can_be_seen_by_batch_and_all_together() -> None:
    sink = MemorySink[object]()
    await publish(sink, 2, Batch([Count("/", 3), Count("/a", 1)]))
    await publish(sink, 5, Batch([Count("/b", 2)]))
    assert sink.batches == {2: [Count("/", 3), Count("/a", 1)], 5: [Count("/b", 2)]}
    assert sink.values == [Count("/", 3), Count("/a", 1), Count("/b", 2)]


async def test_rows_of_a_keyed_stream_are_pairs() -> None:
    sink = MemorySink[object]()
    await publish(sink, 1, Batch([3, 1], keys=["/", "/a"]))
    assert sink.values == [("/", 3), ("/a", 1)]


async def test_a_batch_that_is_published_again_counts_once() -> None:
    sink = MemorySink[object]()
    for _ in range(2):
        await publish(sink, 1, Batch([1, 2]))
    assert sink.values == [1, 2]
    assert await sink.open(context()).start() == 1


async def test_each_shard_has_its_own_batch_ids() -> None:
    sink = MemorySink[object]()
    await publish(sink, 7, Batch(["second shard"]), shard=1)
    assert [await sink.open(context(shard)).start() for shard in range(2)] == [None, 7]
    await publish(sink, 7, Batch(["first shard"]), shard=0)
    assert sink.batches == {7: ["first shard", "second shard"]}


async def test_it_conforms() -> None:
    await check_sink(
        MemorySink[str], [["a"], ["b", "c"], ["d"]], read=lambda sink: sink.values, expected=["a", "b", "c", "d"]
    )
