"""What mypy and pyright know of the elements of streams: ``assert_type`` is checked by both in ``make check``.

Run as a test it shows that the pipelines can be built, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import assert_type

from streamproc import (
    Aggregate,
    Aggregates,
    App,
    KeyedProcess,
    KeyedStream,
    KeyedWindowResults,
    List,
    Map,
    Output,
    ProcessContext,
    ProcessResults,
    RateLimitedStream,
    Record,
    Stream,
    Timer,
    Tumbling,
    Value,
    WindowResult,
    WindowResults,
    collect,
    count,
    max_of,
    mean_of,
    min_of,
    sum_of,
)
from streamproc.codecs import json_decoder
from streamproc.connectors.memory import MemorySink, MemorySource


class Click(Record):
    user: str
    page: str
    spent: float = 0.0


def clicks() -> Stream[Click]:
    return App("typing").source(MemorySource[Click]())


def spent_of(click: Click) -> float:
    return click.spent


async def look_up(click: Click) -> int:
    return len(click.user)


async def is_known(click: Click) -> bool:
    return click.user != ""


async def words_of(click: Click) -> list[str]:
    return click.page.split("/")


def test_a_source_has_the_type_of_its_decoder() -> None:
    source = MemorySource[Click](decode=json_decoder(Click))
    assert_type(App("typing").source(source), Stream[Click])


def test_per_record_operators() -> None:
    stream = clicks()
    assert_type(stream.map(lambda click: click.spent), Stream[float])
    assert_type(stream.map(look_up), Stream[int])
    assert_type(stream.map(look_up, concurrency=10, timeout="1s"), Stream[int])
    assert_type(stream.filter(lambda click: click.spent > 1), Stream[Click])
    assert_type(stream.filter(is_known), Stream[Click])
    assert_type(stream.flat_map(lambda click: click.page.split("/")), Stream[str])
    assert_type(stream.flat_map(words_of), Stream[str])
    assert_type(stream.union(stream), Stream[Click])
    assert_type(stream.branch(lambda click: click.spent > 1), tuple[Stream[Click], ...])


def test_key_by_makes_a_keyed_stream() -> None:
    keyed = clicks().key_by(lambda click: click.user)
    assert_type(keyed, KeyedStream[str, Click])
    assert_type(clicks().key_by(look_up), KeyedStream[int, Click])
    assert_type(keyed.filter(lambda pair: pair[1].spent > 1), KeyedStream[str, Click])
    assert_type(keyed.map(lambda pair: pair[0]), Stream[str])


def test_reduce_keeps_the_type() -> None:
    assert_type(clicks().map(lambda click: click.spent).reduce(max), Stream[float])
    spent = clicks().key_by(lambda click: click.user).map_values(lambda click: click.spent)
    assert_type(spent, KeyedStream[str, float])
    assert_type(spent.reduce_by_key(lambda a, b: a + b), KeyedStream[str, float])
    assert_type(spent.reduce_by_key_and_window(lambda a, b: a + b, "1m", "10s"), KeyedStream[str, float])


def test_per_batch_operators() -> None:
    keyed = clicks().key_by(lambda click: click.user)
    assert_type(clicks().count(), Stream[int])
    assert_type(clicks().count_by_value(), KeyedStream[Click, int])
    assert_type(keyed.group_by_key(), KeyedStream[str, list[Click]])
    assert_type(clicks().transform(lambda batch: [len(batch)]), Stream[int])


def test_joins_pair_the_values() -> None:
    left = clicks().key_by(lambda click: click.user)
    right = left.map_values(lambda click: click.spent)
    assert_type(left.join(right), KeyedStream[str, tuple[Click, float]])
    assert_type(left.left_outer_join(right), KeyedStream[str, tuple[Click, float | None]])
    assert_type(left.full_outer_join(right), KeyedStream[str, tuple[Click | None, float | None]])
    assert_type(left.cogroup(right), KeyedStream[str, tuple[list[Click], list[float]]])


def test_state_has_the_type_of_the_function() -> None:
    keyed = clicks().key_by(lambda click: click.user)

    def total(new: list[Click], before: float | None) -> float | None:
        return (before or 0.0) + sum(click.spent for click in new)

    def number(user: str, click: Click, seen: int | None) -> tuple[str, int | None]:
        return f"{user}-{seen}", (seen or 0) + 1

    assert_type(keyed.update_state_by_key(total), KeyedStream[str, float])
    assert_type(keyed.map_with_state(number), KeyedStream[str, str])


def result_of(result: WindowResult[int]) -> int:
    return result.value


def test_windows_give_results_of_the_aggregate() -> None:
    keyed = clicks().key_by(lambda click: click.user)
    assert_type(keyed.window(Tumbling("1m")).aggregate(count()), KeyedWindowResults[str, Click, int])
    spent = sum_of(spent_of)
    assert_type(keyed.window(Tumbling("1m")).aggregate(spent), KeyedWindowResults[str, Click, float])
    assert_type(clicks().window(Tumbling("1m")).aggregate(count()), WindowResults[Click, int])
    windows = keyed.window(Tumbling("1m")).aggregate(count())
    assert_type(windows.late(), KeyedStream[str, Click])
    assert_type(windows.map_values(result_of), KeyedStream[str, int])
    assert_type(clicks().window("1m"), Stream[Click])
    assert_type(keyed.window("1m", "10s"), KeyedStream[str, Click])
    assert_type(clicks().count_by_window("1m"), Stream[int])


class Pages(KeyedProcess[str, Click, str]):
    seen = Value(int, default=0, ttl="1h")
    pages = List(str)
    spent = Map(str, float)
    long = Output(Click)

    def process(self, context: ProcessContext[str], click: Click) -> Iterable[str]:
        assert_type(context.key, str)
        assert_type(context.value(self.seen).get(), int)
        assert_type(list(context.list(self.pages)), list[str])
        assert_type(context.map(self.spent).get(click.page), float | None)
        context.output(self.long, click)
        return [click.page]

    def on_timer(self, context: ProcessContext[str], timer: Timer) -> Iterable[str]:
        return [timer.name]


def test_process_gives_what_its_class_says() -> None:
    results = clicks().key_by(lambda click: click.user).process(Pages())
    assert_type(results, ProcessResults[str, str])
    assert_type(results.output(Pages.long), KeyedStream[str, Click])
    assert_type(results.union(results.map_values(str.lower)), KeyedStream[str, str])


def test_ready_made_operators_with_state() -> None:
    keyed = clicks().key_by(lambda click: click.user)
    assert_type(clicks().deduplicate(by=lambda click: click.user, within="1h"), Stream[Click])
    assert_type(keyed.deduplicate(by=lambda pair: pair[1].page, within="1h"), KeyedStream[str, Click])
    assert_type(keyed.sample(0.1), KeyedStream[str, Click])
    assert_type(clicks().batch(100, within="1s"), Stream[list[Click]])
    assert_type(keyed.batch(100), KeyedStream[str, list[Click]])
    assert_type(clicks().top_k(3, by=lambda click: click.spent), Stream[list[Click]])
    assert_type(keyed.top_k(3, by=lambda pair: pair[1].spent), Stream[list[tuple[str, Click]]])
    assert_type(keyed.running(sum_of(spent_of)), KeyedStream[str, float])
    assert_type(keyed.rate_limit(10, per="1s"), RateLimitedStream[str, Click])
    assert_type(keyed.rate_limit(10, per="1s").excess(), KeyedStream[str, Click])


class Maybe(KeyedProcess[str, Click, str]):
    latest = Value(float, default=None, ttl="1h")
    union = Value(int | None, default=None, ttl="1h")
    declared: Value[int | None] = Value(int | None, default=None)
    mixed: List[int | str] = List(int | str)
    by_page: Map[str, int | None] = Map(str, int | None)
    either: Output[int | Click] = Output(int | Click)

    def process(self, context: ProcessContext[str], click: Click) -> Iterable[str]:
        assert_type(context.value(self.latest).get(), float | None)
        context.value(self.latest).set(click.spent)
        context.value(self.union).set(1)
        assert_type(context.value(self.declared).get(), int | None)
        assert_type(list(context.list(self.mixed)), list[int | str])
        assert_type(context.map(self.by_page).get(click.page), int | None)
        context.output(self.either, click)
        return []


def test_a_state_variable_can_be_of_a_union() -> None:
    results = clicks().key_by(lambda click: click.user).process(Maybe())
    assert_type(results.output(Maybe.either), KeyedStream[str, int | Click])


class Sale(Record):
    item: str
    price: Decimal
    at: datetime


def price_of(sale: Sale) -> Decimal:
    return sale.price


def test_aggregates_have_the_type_of_what_they_take() -> None:
    windows = App("typing").source(MemorySource[Sale]()).window(Tumbling("1m"))
    assert_type(windows.aggregate(min_of(lambda sale: sale.item)), WindowResults[Sale, str])
    assert_type(windows.aggregate(max_of(lambda sale: sale.at)), WindowResults[Sale, datetime])
    assert_type(
        windows.aggregate(max_of(lambda sale: (sale.price, sale.item))), WindowResults[Sale, tuple[Decimal, str]]
    )
    assert_type(windows.aggregate(sum_of(price_of)), WindowResults[Sale, Decimal])
    assert_type(windows.aggregate(mean_of(lambda sale: sale.price)), WindowResults[Sale, Decimal])
    assert_type(windows.aggregate(sum_of(lambda sale: len(sale.item))), WindowResults[Sale, int])
    assert_type(windows.aggregate(mean_of(lambda sale: len(sale.item))), WindowResults[Sale, float])
    assert_type(windows.aggregate(least=min_of(lambda sale: sale.at)), WindowResults[Sale, Aggregates])


def total_with(total: Decimal, sale: Sale) -> Decimal:
    return total + sale.price


def plus(total: Decimal, more: Decimal) -> Decimal:
    return total + more


def minus(total: Decimal, less: Decimal) -> Decimal:
    return total - less


def rounded(total: Decimal) -> int:
    return round(total)


def test_the_result_of_an_own_aggregate_is_its_accumulator_unless_a_function_makes_another() -> None:
    assert_type(Aggregate("total", price_of, total_with, plus), Aggregate[Sale, Decimal, Decimal])
    assert_type(Aggregate("total", price_of, total_with, plus, rounded), Aggregate[Sale, Decimal, int])
    assert_type(Aggregate("total", price_of, total_with, plus, inverse=minus), Aggregate[Sale, Decimal, Decimal])
    longest: Aggregate[str, int, int] = Aggregate("longest", len, lambda most, text: max(most, len(text)), max)
    assert longest.result(longest.add(longest.create("a"), "bcd")) == 3


def time_of(record: tuple[int, Sale]) -> int:
    return record[0]


def later(time: int, record: tuple[int, Sale]) -> int:
    return max(time, record[0])


def test_a_timed_aggregate_gets_timestamps_with_the_values_of_the_stream() -> None:
    latest = Aggregate("latest", time_of, later, max, timed=True)
    assert_type(latest, Aggregate[Sale, int, int])
    assert_type(Aggregate("latest", time_of, later, max, str, timed=True), Aggregate[Sale, int, str])
    sales = App("typing").source(MemorySource[Sale]())
    assert_type(sales.window(Tumbling("1m")).aggregate(latest), WindowResults[Sale, int])


def test_sinks_take_what_the_stream_has() -> None:
    clicks().to(MemorySink[Click]())
    clicks().key_by(lambda click: click.user).to(MemorySink[tuple[str, Click]]())
    assert_type(collect().name, str)
