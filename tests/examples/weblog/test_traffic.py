"""Simulated traffic: repeatable, in the format of a log, and with the attacks that it should have."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice

from examples.weblog.log_line import parse
from examples.weblog.send import send
from examples.weblog.traffic import Traffic
from streamproc.testing import VirtualClock

START = 1_700_000_000_000


def lines(seed: int, number: int, *, attacks: bool = True, rate: float = 200) -> list[tuple[int, str]]:
    return list(islice(Traffic(seed=seed, rate=rate, start=START, attacks=attacks).lines(), number))


def test_the_same_seed_gives_the_same_lines_and_another_seed_others() -> None:
    assert lines(1, 5000) == lines(1, 5000)
    assert lines(1, 5000) != lines(2, 5000)


def test_every_line_is_one_of_a_log_at_its_time() -> None:
    offsets = [offset for offset, _ in lines(3, 5000)]
    assert offsets == sorted(offsets)
    for offset, line in lines(3, 5000):
        assert parse(line).time == (START + offset) // 1000 * 1000


def test_the_rate_is_the_mean_of_a_day() -> None:
    found = lines(4, 30_000, attacks=False)
    within_a_day = sum(offset < 120_000 for offset, _ in found)
    assert 0.97 < within_a_day / (120 * 200) < 1.03


def test_some_pages_are_far_more_popular_than_others() -> None:
    pages = Counter(parse(line).path for _, line in lines(5, 20_000, attacks=False)).most_common()
    assert pages[0][1] > 10 * pages[len(pages) // 2][1]


def test_attacks_come_only_when_asked_for() -> None:
    def refused(attacks: bool) -> int:
        return sum(parse(line).status in {401, 403} for _, line in lines(6, 10_000, attacks=attacks))

    assert refused(attacks=True) > 20
    assert refused(attacks=False) == 0


async def test_lines_are_sent_when_they_are_due() -> None:
    clock = VirtualClock()
    received: list[tuple[int, bytes]] = []
    done = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            received.append((clock.now(), line))
        writer.close()
        done.set()

    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        schedule = [(0, "a"), (5, "b"), (1_000, "c")]
        sending = asyncio.create_task(send(host, port, iter(schedule), clock))
        while len(received) < 2:
            await asyncio.wait([sending], timeout=0.01)
        assert [line for _, line in received] == [b"a\n", b"b\n"]
        assert not sending.done()
        clock.advance_to(clock.now() + 1_000)
        assert await sending == 3
        await done.wait()
    assert [line for _, line in received] == [b"a\n", b"b\n", b"c\n"]
