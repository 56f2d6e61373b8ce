"""A generator makes the same records at the same rate, whatever happens between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest

from streamproc.connectors.generator import GeneratorSource, Schedule
from streamproc.errors import PipelineError, SourceError
from streamproc.io.source import Limits, SourceContext, SourceReader
from streamproc.testing import MemoryJournal, VirtualClock, check_source

NO_LIMITS = Limits(1 << 20, 1 << 30)


def number_and_dice(record: int, random: Random) -> tuple[int, int, float]:
    return record, random.randint(1, 6), random.gauss()


async def start(
    source: GeneratorSource[tuple[int, int, float]],
    clock: VirtualClock,
    positions: dict[str, int | str] | None = None,
    shard: int = 0,
    shards: int = 1,
) -> SourceReader:
    reader = source.open(SourceContext("dice", clock, MemoryJournal, shard, shards))
    await reader.start(positions or {})
    return reader


async def take(reader: SourceReader, limits: Limits = NO_LIMITS) -> list[int]:
    """Take once, and return the numbers of the records."""
    return [record for record, _, _ in (await reader.take(limits)).values]


async def test_records_come_at_their_rate() -> None:
    clock = VirtualClock(start=1_000)
    reader = await start(GeneratorSource(number_and_dice, rate=2.5), clock)
    taken = list[tuple[int, list[int]]]()
    for now in (1_000, 1_399, 1_400, 2_000, 5_000):
        clock.advance_to(now)
        taken.append((now, await take(reader)))
    assert taken == [(1_000, [0]), (1_399, []), (1_400, [1]), (2_000, [2]), (5_000, [3, 4, 5, 6, 7, 8, 9, 10])]


async def test_wait_ends_when_the_next_record_is_due() -> None:
    clock = VirtualClock()
    reader = await start(GeneratorSource(number_and_dice, rate=3), clock)
    for record, when in enumerate((0, 334, 667, 1_000)):
        clock.advance_to(when)
        await reader.wait()
        assert await take(reader) == [record]


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 7, 999.9, 1e6])
def test_a_record_is_due_at_the_very_time_it_is_waited_for(rate: float) -> None:
    schedule = Schedule(rate, start=1_700_000_000_123, first=17)
    for record in (17, 18, 19, 100, 12_345, 10**9):
        when = schedule.when(record)
        assert schedule.due(when) > record
        assert schedule.due(when - 1) <= record


async def test_after_a_restart_it_goes_on_at_the_same_rate_without_a_burst() -> None:
    clock = VirtualClock()
    source = GeneratorSource(number_and_dice, rate=10)
    reader = await start(source, clock)
    clock.advance("300ms")
    committed = await reader.take(NO_LIMITS)
    clock.advance("1h")
    reader = await start(source, clock, {"0": 4})
    assert committed.positions == {"0": 4}
    assert await take(reader) == [4]
    clock.advance("200ms")
    assert await take(reader) == [5, 6]


async def test_a_record_depends_on_the_seed_and_its_number_only() -> None:
    async def records(seed: int, first: int = 0) -> list[tuple[int, int, float]]:
        source = GeneratorSource(number_and_dice, rate=math.inf, seed=seed, limit=20)
        return (await (await start(source, VirtualClock(), {"0": first})).take(NO_LIMITS)).values

    assert await records(1) == await records(1)
    assert (await records(1))[7:] == await records(1, first=7)
    runs = [await records(seed) for seed in (0, 1, -1, 2)]
    assert all(one[i] != other[i] for one in runs for other in runs if one is not other for i in range(20))
    assert len({dice for _, dice, _ in runs[0]}) > 3


async def test_it_ends_at_its_limit() -> None:
    clock = VirtualClock()
    reader = await start(GeneratorSource(number_and_dice, rate=10, limit=3), clock)
    clock.advance("150ms")
    assert (await take(reader), reader.finished, reader.bounded) == ([0, 1], False, True)
    clock.advance("1h")
    assert (await take(reader), reader.finished) == ([2], True)
    await reader.wait()


async def test_bounded_it_makes_what_is_due() -> None:
    clock = VirtualClock()
    reader = await start(GeneratorSource(number_and_dice, rate=10, limit=30), clock)
    clock.advance("150ms")
    await reader.bound()
    clock.advance("1h")
    assert (await take(reader), reader.finished, reader.bounded) == ([0, 1], True, False)


async def test_without_rate_and_limit_it_has_no_end_to_read_to() -> None:
    reader = await start(GeneratorSource(number_and_dice, rate=math.inf), VirtualClock())
    assert len(await take(reader, Limits(1_000, 1))) == 1_000
    with pytest.raises(SourceError, match="neither a rate nor a limit"):
        await reader.bound()


async def test_partitions_share_the_records_evenly() -> None:
    reader = await start(GeneratorSource(number_and_dice, rate=math.inf, limit=12, partitions=3), VirtualClock())
    batch = await reader.take(Limits(7, 1))
    assert [(segment.partition, segment.count, segment.first) for segment in batch.segments] == [
        ("0", 3, 0),
        ("1", 2, 1),
        ("2", 2, 2),
    ]
    assert batch.positions == {"0": 9, "1": 7, "2": 8}
    assert [segment.position(1) for segment in batch.segments] == ["3", "4", "5"]
    assert batch.more
    rest = await reader.take(NO_LIMITS)
    assert (rest.positions, rest.more, reader.finished) == ({"0": 12, "1": 13, "2": 14}, False, True)


async def test_under_overload_no_partition_starves() -> None:
    reader = await start(GeneratorSource(number_and_dice, rate=math.inf, partitions=3), VirtualClock())
    assert [await take(reader, Limits(1, 1)) for _ in range(6)] == [[0], [1], [2], [3], [4], [5]]


async def test_shards_share_the_partitions() -> None:
    source = GeneratorSource(number_and_dice, rate=math.inf, limit=10, partitions=3)
    assert sorted(await take(await start(source, VirtualClock(), shard=0, shards=2))) == [0, 2, 3, 5, 6, 8, 9]
    assert await take(await start(source, VirtualClock(), shard=1, shards=2)) == [1, 4, 7]
    idle = await start(source, VirtualClock(), shard=3, shards=4)
    assert (await take(idle), idle.finished) == ([], True)


@pytest.mark.parametrize("positions", [{"2": 2}, {"0": 1}, {"0": "0"}, {"x": 0}, {"0": -2}])
async def test_positions_of_another_number_of_partitions_are_refused(positions: dict[str, int | str]) -> None:
    with pytest.raises(SourceError, match="partitions=2 must be the same as when the position was committed"):
        await start(GeneratorSource(number_and_dice, rate=1, partitions=2), VirtualClock(), positions)


async def test_a_function_that_fails_is_reported_with_its_record() -> None:
    def fails(record: int, random: Random) -> tuple[int, int, float]:
        return record, 1 // (2 - record), 0.0

    reader = await start(GeneratorSource(fails, rate=math.inf, limit=5), VirtualClock())
    with pytest.raises(SourceError, match="'dice': its function failed on record 2") as caught:
        await reader.take(NO_LIMITS)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeneratorSource(number_and_dice, rate=0), "rate is 0, expected more than zero"),
        (lambda: GeneratorSource(number_and_dice, rate=math.nan), "rate is nan, expected more than zero"),
        (lambda: GeneratorSource(number_and_dice, rate=1, limit=-1), "limit is -1, expected None, or zero or more"),
        (lambda: GeneratorSource(number_and_dice, rate=1, partitions=0), "partitions is 0, expected 1 or more"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        make()


async def test_it_conforms() -> None:
    def records(partition: int) -> list[int]:
        return [record * record for record in range(partition, 21, 3)]

    await check_source(
        lambda: GeneratorSource(lambda record, _: record * record, rate=100, limit=21, partitions=3),
        {str(partition): records(partition) for partition in range(3)},
        all_here=False,
        restarts=4,
    )


async def test_it_conforms_without_a_rate() -> None:
    await check_source(lambda: GeneratorSource(lambda record, _: record, rate=math.inf, limit=50), list(range(50)))
