"""A memory source gives one list a micro-batch, and again after a crash."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.codecs import json_decoder
from streamproc.connectors.memory import MemorySource
from streamproc.errors import SourceError
from streamproc.io.source import Limits, Position, SourceContext, SourceReader
from streamproc.records import Record
from streamproc.testing import MemoryJournal, VirtualClock, check_source

NO_LIMITS = Limits(1 << 20, 1 << 30)


class Click(Record):
    user: str


async def start(source: MemorySource[int], position: Position = 0, *, shard: int = 0) -> SourceReader:
    reader = source.open(SourceContext("numbers", VirtualClock(), MemoryJournal, shard, shard + 1))
    await reader.start({} if shard else {"0": position})
    return reader


async def test_each_list_is_one_batch() -> None:
    reader = await start(MemorySource([[1, 2], [], [3]]))
    first, second, third = [await reader.take(NO_LIMITS) for _ in range(3)]
    assert (first.values, first.positions, first.more) == ([1, 2], {"0": 2}, False)
    assert (second.values, second.positions) == ([3], {"0": 3})
    assert (third.values, third.positions) == ([], {})


async def test_a_list_longer_than_the_limit_takes_several_batches() -> None:
    reader = await start(MemorySource([[1, 2, 3], [4]]))
    batches = [await reader.take(Limits(2, 1)) for _ in range(3)]
    assert [batch.values for batch in batches] == [[1, 2], [3], [4]]
    assert [batch.more for batch in batches] == [True, False, False]


async def test_lists_can_be_sent_while_a_reader_waits() -> None:
    source = MemorySource[int]()
    reader = await start(source)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(reader.wait())
        await asyncio.wait({waiting}, timeout=0)
        assert not waiting.done()
        source.send([1])
    assert (await reader.take(NO_LIMITS)).values == [1]
    source.send_many([[2], [3]])
    assert (await reader.take(NO_LIMITS)).values == [2]
    assert not reader.finished


async def test_close_ends_it_once_all_is_read() -> None:
    source = MemorySource([[1]])
    reader = await start(source)
    source.close()
    source.close()
    assert (reader.finished, reader.bounded) == (False, True)
    await reader.take(NO_LIMITS)
    assert reader.finished
    with pytest.raises(SourceError, match=r"1 records were sent after close\(\)"):
        source.send([2])


async def test_close_wakes_a_waiting_reader() -> None:
    source = MemorySource[int]()
    reader = await start(source)
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(reader.wait())
        await asyncio.wait({waiting}, timeout=0)
        source.close()
    assert reader.finished


async def test_timestamps_come_with_their_list() -> None:
    source = MemorySource([[1]])
    source.send([2, 3, 4], timestamps=[20, 30, 40])
    reader = await start(source)
    batches = [await reader.take(Limits(2, 1)) for _ in range(3)]
    assert [batch.timestamps for batch in batches] == [None, [20, 30], [40]]
    with pytest.raises(SourceError, match="2 records were sent with 1 timestamps"):
        source.send([5, 6], timestamps=[50])


async def test_what_is_sent_behind_a_bound_is_left_for_the_next_run() -> None:
    source = MemorySource([[1]])
    reader = await start(source)
    await reader.bound()
    source.send([2])
    source.close()
    assert (await reader.take(NO_LIMITS)).values == [1]
    assert (reader.finished, reader.bounded) == (True, False)
    assert (await reader.take(NO_LIMITS)).values == []
    assert (await (await start(source, 1)).take(NO_LIMITS)).values == [2]


async def test_only_the_first_shard_reads() -> None:
    reader = await start(MemorySource([[1]]), shard=1)
    assert (reader.finished, (await reader.take(NO_LIMITS)).values) == (True, [])


@pytest.mark.parametrize("position", [4, -1, "2"])
async def test_a_position_that_it_does_not_hold_is_an_error(position: Position) -> None:
    with pytest.raises(SourceError, match=r"'numbers' has partition '0' with records 0 to 3, .* pass the same source"):
        await start(MemorySource([[1, 2, 3]]), position)


def test_one_source_serves_several_event_loops_after_each_other() -> None:
    source = MemorySource[int]()

    async def wait_and_take() -> list[int]:
        reader = await start(source, source.queues["0"].size)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(reader.wait())
            await asyncio.wait({waiting}, timeout=0)
            source.send([source.queues["0"].size])
        return (await reader.take(NO_LIMITS)).values

    assert [asyncio.run(wait_and_take()) for _ in range(2)] == [[0], [1]]


async def test_it_conforms() -> None:
    batches = [list(range(start, start + 7)) for start in range(0, 70, 7)]
    await check_source(lambda: MemorySource(batches), list(range(70)))


async def test_it_conforms_when_closed() -> None:
    def make() -> MemorySource[int]:
        source = MemorySource([[1, 2], [3, 4, 5], [6]])
        source.close()
        return source

    await check_source(make, [1, 2, 3, 4, 5, 6])


async def test_it_conforms_with_records_to_be_decoded() -> None:
    batches = [[b'{"user":"ann"}', b'{"user":"bob"}'], [b'{"user":"eve"}']] * 5
    await check_source(
        lambda: MemorySource(batches, decode=json_decoder(Click)), [Click("ann"), Click("bob"), Click("eve")] * 5
    )


async def test_partitions_are_read_side_by_side_and_paused_one_by_one() -> None:
    source = MemorySource[str](partitions=2)
    source.send(["a", "b"])
    source.send(["c"])
    source.send(["x"], partition=1)
    reader = source.open(SourceContext("letters", VirtualClock(), MemoryJournal))
    await reader.start({})
    reader.pause(["0"])
    first = await reader.take(NO_LIMITS)
    assert (first.values, first.positions, first.caught_up) == (["x"], {"1": 1}, {"0": False, "1": True})
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(reader.wait())
        await asyncio.wait({waiting}, timeout=0)
        assert not waiting.done(), "what is paused is nothing to wait for"
        source.send(["y"], partition=1)
    reader.pause([])
    second = await reader.take(NO_LIMITS)
    assert (second.values, second.positions) == (["a", "b", "y"], {"0": 2, "1": 2})
    assert second.caught_up == {"0": False, "1": True}
    with pytest.raises(SourceError, match="partition 2 of 2"):
        source.send(["z"], partition=2)


async def test_several_partitions_keep_the_rules() -> None:
    def make() -> MemorySource[int]:
        source = MemorySource[int](partitions=3)
        for number in range(30):
            source.send([number, number + 100], partition=number % 3)
        source.close()
        return source

    expected = {
        str(partition): [value for number in range(partition, 30, 3) for value in (number, number + 100)]
        for partition in range(3)
    }
    await check_source(make, expected)
