"""Ways to break the protocol, and the steps at which a kill brings each to light: switches that only tests turn."""

# What is broken is inside, and has no public name.
# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.protocol.produce import ProduceRequest  # type: ignore[import-untyped]

from streamproc.connectors.files import durable, part_writer
from streamproc.connectors.kafka import mark, outgoing, reader, transaction, writer
from streamproc.connectors.kafka.offsets import Partition
from streamproc.connectors.sql import writer as sql_writer
from streamproc.engine import shard
from streamproc.io.sink import OutboxEntry
from streamproc.state.ledger import Ledger
from streamproc.state.rocksdb import RocksStore
from streamproc.state.store import Changes, Family
from streamproc.state.tables import Table
from streamproc.state.timers import Timers

__all__ = ["MUTANTS", "Mutant", "on_step"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A way to break the protocol.

    Attributes:
        apply: Breaks it, in this process.
        steps: Where a kill shows that, or how else it is shown.
        kind: In which kind of batch.
        sinks: With which sinks.
    """

    apply: Callable[[], None]
    steps: Sequence[str]
    kind: str = "keyed state"
    sinks: str = "kafka"


MUTANTS: dict[str, Mutant] = {}

on_step: list[Callable[[str], None]] = []
"""Told steps that only a mutant has."""


def mutant(*steps: str, **where: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Make a function that breaks something a mutant with its name."""

    def add(apply: Callable[[], None]) -> Callable[[], None]:
        MUTANTS[apply.__name__.replace("_", " ")] = Mutant(apply, steps, **where)
        return apply

    return add


def changed(owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """Replace a function by what ``change`` makes of it."""
    setattr(owner, name, change(getattr(owner, name)))


# --- the commit ---


@mutant("after_commit")
def outbox_left_out_of_the_commit() -> None:
    def without(record: Any) -> Any:
        def recorded(self: Ledger, changes: Changes, **given: Any) -> None:
            record(self, changes, **given | {"outputs": {}})

        return recorded

    changed(Ledger, "record", without)


@mutant("half_committed")
def state_and_positions_in_two_writes() -> None:
    def halves(commit: Any) -> Any:
        async def committed(self: RocksStore, changes: Changes) -> None:
            state = Changes(
                [put for put in changes.puts if put[0] is Family.STATE],
                [delete for delete in changes.deletes if delete[0] is Family.STATE],
            )
            changes.puts[:] = [put for put in changes.puts if put[0] is not Family.STATE]
            changes.deletes[:] = [delete for delete in changes.deletes if delete[0] is not Family.STATE]
            await commit(self, state)
            for tell in on_step:
                tell("half_committed")
            await commit(self, changes)

        return committed

    changed(RocksStore, "commit", halves)


@mutant("after_acknowledge", kind="stateless")
def positions_of_the_batch_before() -> None:
    late: dict[str, Mapping[str, Any]] = {}

    def delayed(record: Any) -> Any:
        def recorded(self: Ledger, changes: Changes, **given: Any) -> None:
            positions = dict(late)
            late.update(given["positions"])
            record(self, changes, **given | {"positions": positions})

        return recorded

    changed(Ledger, "record", delayed)


@mutant("after_acknowledge")
def positions_of_what_is_fetched() -> None:
    def ahead(take: Any) -> Any:
        async def taken(self: reader.KafkaReader, limits: Any) -> Any:
            batch = await take(self, limits)
            fetched = {str(partition): log.fetch_from for partition, log in self._fetcher.logs.items()}
            return dataclasses.replace(batch, positions=fetched)

        return taken

    changed(reader.KafkaReader, "take", ahead)


def forgetful(collect: Any) -> Any:
    def collected(self: Any, changes: Changes) -> None:
        collect(self, Changes())

    return collected


@mutant("after_acknowledge")
def state_kept_in_memory_only() -> None:
    changed(Table, "collect", forgetful)


@mutant("after_acknowledge", kind="timers")
def timers_set_in_memory_only() -> None:
    changed(Timers, "collect", forgetful)


# --- between commit and sink ---


@mutant("after_publish", kind="stateless")
def publish_before_commit() -> None:
    def hasty(commit: Any) -> Any:
        async def committed(self: Any, taken: Any, run: Any) -> bool:
            for sink, payload in run.outputs.items():
                entry = OutboxEntry(self._protocol.next_batch, run.trigger_time, payload)
                await self._outputs.publish(sink, entry)
            return bool(await commit(self, taken, run))

        return committed

    changed(shard.Shard, "_commit", hasty)


@mutant("after_commit", "records_written")
def recovery_without_the_outbox() -> None:
    def nothing(_recover: Any) -> Any:
        def recovered(*_: Any, **__: Any) -> list[Any]:
            return []

        return recovered

    changed(shard, "recover", nothing)


@mutant("transaction_ended", "after_publish")
def recovery_without_asking_the_sink() -> None:
    def unasked(start: Any) -> Any:
        async def started(self: writer.KafkaWriter) -> None:
            await start(self)
            self._published = 0

        return started

    changed(writer.KafkaWriter, "start", unasked)


# --- the transaction ---


def unasked(_is_complete: Any) -> Any:
    async def is_complete(_self: Any, _batch_id: int) -> bool:
        return True

    return is_complete


@mutant("transaction_ended")
def batch_id_left_out() -> None:
    def unnumbered(written: Any) -> Any:
        def write(self: mark.MarkPlace, given: mark.Mark) -> Any:
            return written(self, mark.Mark(given.owner, None))

        return write

    changed(mark.MarkPlace, "written", unnumbered)
    changed(writer.KafkaWriter, "_is_complete", unasked)


@mutant("records_committed")
def batch_id_in_a_transaction_of_its_own() -> None:
    def apart(transact: Any) -> Any:
        async def transacted(self: writer.KafkaWriter, batches: Any, entry: OutboxEntry) -> None:
            producer = self._producer
            await producer.add_partitions({Partition(batch.topic, batch.partition) for batch in batches})
            await producer.produce(batches, entry.time)
            await producer.commit()
            for tell in on_step:
                tell("records_committed")
            await transact(self, [], entry)

        return transacted

    changed(writer.KafkaWriter, "_transact", apart)


@mutant("records_written", "offsets_written")
def records_outside_of_the_transaction() -> None:
    def plain(encode: Any) -> Any:
        def encoded(self: outgoing.Encoding, *given: Any) -> bytes:
            return bytes(encode(dataclasses.replace(self, transactional=False), *given))

        return encoded

    changed(outgoing.Encoding, "encode", plain)


@mutant("after_acknowledge")
def transaction_aborted_at_its_end() -> None:
    def aborting(request: Any) -> Any:
        def make(transactional_id: str, producer: int, epoch: int, _committed: bool) -> Any:
            return request(transactional_id, producer, epoch, False)

        return make

    changed(transaction, "EndTxnRequest", aborting)
    # It would notice, and end the transaction again for ever.
    changed(writer.KafkaWriter, "_is_complete", unasked)


@mutant("frozen")
def no_barrier_between_instances() -> None:
    def apart(init: Any) -> Any:
        def initialised(self: Any, cluster: Any, clock: Any, transactional_id: str | None, timeout_ms: int) -> None:
            init(self, cluster, clock, f"{transactional_id}-{secrets.token_hex(4)}", timeout_ms)

        return initialised

    changed(transaction.Producer, "__init__", apart)


@mutant("refused")
def answers_of_brokers_not_looked_at() -> None:
    def unlooked(_send: Any) -> Any:
        async def send(self: Any, node: int, batches: Mapping[Partition, bytearray], _ends: Any) -> None:
            topics: dict[str, list[tuple[int, bytes]]] = {}
            for (topic, number), batch in batches.items():
                topics.setdefault(topic, []).append((number, bytes(batch)))
            await self._cluster.send(node, ProduceRequest(self._id, -1, 10_000, list(topics.items())))

        return send

    changed(transaction.Producer, "_send", unlooked)


# --- databases ---


@mutant("rows_committed", sinks="postgres")
def rows_committed_before_the_batch_id() -> None:
    def apart(write: Any) -> Any:
        async def written(self: Any, groups: Any, batch_id: int) -> None:
            async with self._database.transaction() as connection:
                for rows in groups:
                    await self._bulk.write(connection, rows)
            for tell in on_step:
                tell("rows_committed")
            await write(self, [], batch_id)

        return written

    changed(sql_writer.SqlWriter, "_write", apart)


@mutant("mark_committed", sinks="kafka and postgres")
def batch_id_committed_before_the_rows() -> None:
    def apart(_write: Any) -> Any:
        async def written(self: Any, groups: Any, batch_id: int) -> None:
            async with self._database.transaction() as connection:
                await self._place.advance(connection, self._me, batch_id)
            for tell in on_step:
                tell("mark_committed")
            async with self._database.transaction() as connection:
                for rows in groups:
                    await self._bulk.write(connection, rows)

        return written

    changed(sql_writer.SqlWriter, "_write", apart)


# --- files ---


@mutant("part_written", sinks="files")
def part_not_cut_to_what_is_published() -> None:
    def uncut(append_at: Any) -> Any:
        def appended(path: Path, _offset: int, data: bytes) -> None:
            append_at(path, path.stat().st_size, data)

        return appended

    changed(durable, "append_at", uncut)


@mutant("manifest_name_synced", "after_publish", sinks="files")
def manifest_without_the_batch_id() -> None:
    def unnumbered(replace: Any) -> Any:
        async def replaced(self: Any, **changes: Any) -> None:
            await replace(self, **{name: change for name, change in changes.items() if name != "batch"})

        return replaced

    changed(part_writer.PartWriter, "_replace_manifest", unnumbered)
