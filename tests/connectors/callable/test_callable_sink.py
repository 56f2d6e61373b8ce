"""A function gets each batch after its commit, with a key by which it can tell a repetition."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from streamproc.batch import Batch
from streamproc.connectors.callable import BatchInfo, CallableSink
from streamproc.errors import PipelineError, SinkError
from streamproc.io.sink import OutboxEntry, SinkContext
from streamproc.testing import VirtualClock, check_sink


async def publish(sink: CallableSink[Any], batch: Batch, *, batch_id: int = 7, shard: int = 0) -> None:
    writer = sink.open(SinkContext("shop", "store", VirtualClock(), shard, shard + 1))
    assert await writer.start() is None
    await writer.publish(OutboxEntry(batch_id, 1_000, writer.encode(batch)))
    await writer.close()


async def test_a_plain_function_is_called_with_rows_and_batch() -> None:
    calls: list[tuple[list[int], BatchInfo]] = []
    await publish(CallableSink(lambda rows, batch: calls.append((rows, batch))), Batch([1, 2]))
    assert calls == [([1, 2], BatchInfo(7, 1_000, "shop/store/0/7"))]


async def test_an_async_function_is_awaited() -> None:
    stored: list[tuple[str, int]] = []

    async def store(rows: list[tuple[str, int]], batch: BatchInfo) -> None:
        await asyncio.to_thread(stored.extend, rows)

    await publish(CallableSink(store), Batch([3, 1], keys=["/", "/a"]))
    assert stored == [("/", 3), ("/a", 1)]


async def test_each_batch_of_each_shard_has_its_own_key_and_a_repetition_the_same() -> None:
    keys: list[str] = []
    sink = CallableSink[int](lambda _, batch: keys.append(batch.key))
    for batch_id, shard in ((1, 0), (2, 0), (1, 1), (1, 0)):
        await publish(sink, Batch([0]), batch_id=batch_id, shard=shard)
    assert keys == ["shop/store/0/1", "shop/store/0/2", "shop/store/1/1", "shop/store/0/1"]


def refuse(rows: list[int], batch: BatchInfo) -> None:
    raise ConnectionError("database is away")


async def refuse_later(rows: list[int], batch: BatchInfo) -> None:
    raise ConnectionError("database is away")


class Refuser:
    def __call__(self, rows: list[int], batch: BatchInfo) -> None:
        raise ConnectionError("database is away")


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (refuse, "refuse"),
        (refuse_later, "refuse_later"),
        (functools.partial(refuse), "refuse"),
        (Refuser(), "Refuser"),
    ],
)
async def test_a_failure_names_the_function_and_where_it_is(fn: Any, name: str) -> None:
    where = rf"sink 'store': {name} \(.*test_callable_sink\.py:\d+\) failed on batch 7 of 2 rows: "
    with pytest.raises(SinkError, match=where + "ConnectionError: database is away; the batch is kept") as caught:
        await publish(CallableSink(fn), Batch([1, 2]))
    assert isinstance(caught.value.__cause__, ConnectionError)


async def test_a_builtin_has_a_name_but_no_place() -> None:
    with pytest.raises(SinkError, match=r"sink 'store': divmod failed on batch 7"):
        await publish(CallableSink[Any](cast("Any", divmod)), Batch([1]))


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(PipelineError, match="'print' is no function"):
        CallableSink[Any](cast("Any", "print"))


@dataclass(frozen=True)
class Table(CallableSink[str]):
    """A sink together with where its function writes."""

    rows: list[str] = field(default_factory=list[str])


def appending() -> Table:
    rows: list[str] = []
    return Table(lambda new, _: rows.extend(new), rows)


def inserting() -> Table:
    rows: list[str] = []
    keys: set[str] = set()

    async def insert(new: list[str], batch: BatchInfo) -> None:
        if batch.key not in keys:
            keys.add(batch.key)
            rows.extend(new)

    return Table(insert, rows)


@pytest.mark.parametrize("make", [appending, inserting])
async def test_it_conforms(make: Callable[[], Table]) -> None:
    await check_sink(make, [["a"], ["b", "c"], ["d"]], read=lambda table: table.rows, expected=["a", "b", "c", "d"])


async def test_a_function_that_keeps_the_key_makes_it_exactly_once() -> None:
    table = inserting()
    for _ in range(2):
        await publish(table, Batch(["a", "b"]))
    assert table.rows == ["a", "b"]
