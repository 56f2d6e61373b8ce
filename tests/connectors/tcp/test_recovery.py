"""What was received is in the journal: a new reader goes on wherever the last commit was."""

from __future__ import annotations

import random

import pytest

from streamproc.connectors.tcp import Framing, LengthPrefixed, Lines
from streamproc.errors import SourceError
from streamproc.io.source import Limits, Position
from tests.connectors.tcp.harness import PLENTY, Journal, Server, receive, running


async def fill(journal: Journal, framing: Framing, pieces: list[bytes]) -> None:
    """Receive pieces one by one, so that each is an entry, and throw the reader away."""
    server = Server(framing=framing)
    async with running(server.source, journal) as reader:
        client = await server.connect()
        for piece in pieces:
            await client.send(piece)
            await receive(reader, 1)
        await client.close()


async def test_a_restart_at_any_position_gives_exactly_the_rest() -> None:
    journal = Journal()
    await fill(journal, Lines(), [b"%d a\n%d b\n" % (number, number) for number in range(1, 11)])
    seen: list[bytes] = []
    positions: dict[str, Position] = {}
    for step in range(10):
        # Each reader takes one entry, "commits" and is gone; its successor begins there.
        async with running(Server().source, journal, positions=positions) as reader:
            rest = [b"%d %s" % (number, part) for number in range(step + 1, 11) for part in (b"a", b"b")]
            batch = await reader.take(Limits(records=1, bytes=1))
            seen += batch.values
            positions = {partition: position for partition, position in batch.positions.items() if position is not None}
            assert batch.values + (await reader.take(PLENTY)).values == rest
        journal.trim(before=step + 2)
    assert positions == {"journal": 11}
    assert seen == [b"%d %s" % (number, part) for number in range(1, 11) for part in (b"a", b"b")]
    async with running(Server().source, journal, positions=positions) as reader:
        assert (await reader.take(PLENTY)).values == []


async def test_a_restarted_reader_goes_on_receiving_behind_what_the_journal_holds() -> None:
    journal = Journal()
    await fill(journal, Lines(), [b"one\n", b"two\n"])
    server = Server()
    async with running(server.source, journal, positions={"journal": 2}) as reader:
        await server.send(b"three\n")
        await journal.holds(sum(map(len, (b"Lone\n", b"Ltwo\n"))))
        batch = await reader.take(PLENTY)
        assert batch.values == [b"two", b"three"]
        assert batch.positions == {"journal": 4}


async def test_what_was_received_but_never_taken_survives() -> None:
    journal = Journal()
    server = Server()
    async with running(server.source, journal):
        client = await server.connect()
        await client.send(b"one\ntwo\nincompl")
        await journal.holds(0)
    assert await client.closed_by_peer()
    async with running(Server().source, journal) as reader:
        assert (await reader.take(PLENTY)).values == [b"one", b"two"]


async def test_only_the_first_entry_of_a_batch_may_pass_a_limit() -> None:
    rng = random.Random(3)
    counts = [rng.randrange(1, 9) for _ in range(50)]
    journal = Journal()
    await fill(journal, LengthPrefixed(1), [b"\x04data" * count for count in counts])
    for limits in (Limits(records=10, bytes=1 << 20), Limits(records=1000, bytes=60), Limits(records=1, bytes=1)):
        async with running(Server(framing=LengthPrefixed(1)).source, journal) as reader:
            total = 0
            while (taken := await reader.take(limits)).values:
                batch = taken.values
                total += len(batch)
                assert taken.more == (total < sum(counts))
                first_only = len(batch) in counts
                assert (len(batch) <= limits.records and len(batch) * 5 <= limits.bytes) or first_only
                assert limits.records != 10 or len(batch) <= 10
            assert total == sum(counts)


async def test_a_record_can_be_found_again_in_its_entry() -> None:
    journal = Journal()
    await fill(journal, Lines(), [b"one\n", b"two\nthree\n"])
    async with running(Server().source, journal) as reader:
        batch = await reader.take(PLENTY)
    assert [segment.count for segment in batch.segments] == [1, 2]
    last = batch.segments[-1]
    assert (last.partition, last.position(1)) == ("journal", "2 (+1)")


async def test_a_changed_framing_is_an_error_and_not_wrong_records() -> None:
    journal = Journal()
    await fill(journal, LengthPrefixed(2), [b"\x00\x03one"])
    with pytest.raises(SourceError, match=r"entry 1 was received with another framing.*former framing"):
        async with running(Server(framing=LengthPrefixed(4)).source, journal):
            pass
    # The empty rest is nobody's: behind it, another framing may begin.
    async with running(Server(framing=Lines()).source, journal, positions={"journal": 2}) as reader:
        assert (await reader.take(PLENTY)).values == []


async def test_missing_entries_are_an_error_and_not_missing_records() -> None:
    journal = Journal()
    await fill(journal, Lines(), [b"one\n", b"two\n", b"three\n"])
    journal.trim(before=3)
    with pytest.raises(SourceError, match=r"entry 3, expected 2.*missing"):
        async with running(Server().source, journal, positions={"journal": 2}):
            pass


async def test_a_journal_that_numbers_anew_is_an_error_and_not_a_lost_record() -> None:
    server = Server()
    async with running(server.source, Journal(), positions={"journal": 7}) as reader:
        await server.send(b"one\n")
        with pytest.raises(SourceError, match="entry 1, expected 7"):
            await receive(reader, 1)


@pytest.mark.parametrize("positions", [{"journal": "12"}, {"access.log": 12}])
async def test_positions_of_another_kind_of_source_are_an_error(positions: dict[str, Position]) -> None:
    with pytest.raises(SourceError, match=r"12.*are not the number of a journal entry"):
        async with running(Server().source, Journal(), positions=positions):
            pass
