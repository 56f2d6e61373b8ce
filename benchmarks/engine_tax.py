"""Engine tax: what the engine costs over a hand-written loop that does the same.

The pipeline has 3 maps, 2 filters and a reduce_by_key over typed records of about 200 bytes of NDJSON. Each batch is
committed to RocksDB, synced, and published to a sink. It is compared with loops that do none of that, and

* *calls*: call the pipeline's own functions;
* *inline*: have the functions' expressions written into the loop, which no engine for given functions can reach;

each with a batch decoded in one call, with one record decoded at a time, and without decoding. The bound is for those
that decode, as the pipeline does, and for the fastest round of each: the one that other programs disturbed least.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import add
from typing import Any

from benchmarks.job import Spent, Stopwatch, run_lists
from benchmarks.report import Report, middle
from streamproc import Record, Stream
from streamproc.codecs import Decoder, json_decoder
from streamproc.connectors.memory import MemorySink

__all__ = ["main", "measure"]

BATCHES = 6
RECORDS = 30_000
"""Records a batch."""
ROUNDS = 11
BOUND = 1.3
"""The most that the pipeline may take, in times of the hand-written loop."""

PIPELINE = "pipeline"

Results = list[dict[str, int]]


class Order(Record):
    """An event as it comes over the wire."""

    order_id: str
    customer: str
    product: str
    country: str
    status: str
    quantity: int
    unit_cents: int
    placed_at: int


class Sale(Record):
    """What the pipeline makes of it."""

    product: str
    country: str
    cents: int


def is_paid(order: Order) -> bool:
    """Keep orders that are paid: three of four."""
    return order.status == "paid"


def to_sale(order: Order) -> Sale:
    """Return the sale of an order."""
    return Sale(order.product, order.country, order.quantity * order.unit_cents)


def is_large(sale: Sale) -> bool:
    """Keep sales that are worth counting: most."""
    return sale.cents >= 500


def with_tax(sale: Sale) -> Sale:
    """Return the sale with tax."""
    return Sale(sale.product, sale.country, sale.cents * 119 // 100)


def product_of(sale: Sale) -> str:
    """Return the key."""
    return sale.product


def cents_of(sale: Sale) -> int:
    """Return the value."""
    return sale.cents


def make_lists() -> list[list[bytes]]:
    """Return the lists of lines."""
    chance = random.Random(7)
    return [[_line(chance) for _ in range(RECORDS)] for _ in range(BATCHES)]


def _line(chance: random.Random) -> bytes:
    fields = {
        "order_id": f"{chance.getrandbits(96):024x}",
        "customer": f"customer-{chance.randrange(100_000):08}",
        "product": f"product-{chance.randrange(1_000):05}",
        "country": chance.choice(["DE", "FR", "GB", "US"]),
        "status": chance.choice(["paid", "paid", "paid", "open"]),
        "quantity": chance.randint(1, 9),
        "unit_cents": chance.randint(99, 99_999),
        "placed_at": 1_700_000_000_000 + chance.randrange(10**9),
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def inline(batches: Iterable[Iterable[Order]]) -> Results:
    """The hand-written loop."""
    results: Results = []
    for orders in batches:
        totals: dict[str, int] = {}
        for order in orders:
            if order.status != "paid":
                continue
            sale = Sale(order.product, order.country, order.quantity * order.unit_cents)
            if sale.cents < 500:
                continue
            sale = Sale(sale.product, sale.country, sale.cents * 119 // 100)
            key = sale.product
            if key in totals:
                totals[key] += sale.cents
            else:
                totals[key] = sale.cents
        results.append(totals)
    return results


def calls(batches: Iterable[Iterable[Order]]) -> Results:
    """The hand-written loop that calls the functions."""
    results: Results = []
    for orders in batches:
        totals: dict[str, int] = {}
        for order in orders:
            if not is_paid(order):
                continue
            sale = to_sale(order)
            if not is_large(sale):
                continue
            sale = with_tax(sale)
            key = product_of(sale)
            cents = cents_of(sale)
            if key in totals:
                totals[key] = add(totals[key], cents)
            else:
                totals[key] = cents
        results.append(totals)
    return results


def pipeline(lists: Sequence[Sequence[Any]], decoder: Decoder[Order] | None) -> tuple[Spent, Results]:
    """Run the pipeline, and return its results a batch."""
    sink = MemorySink[tuple[str, int]]()

    def build(orders: Stream[Order]) -> None:
        (
            orders.filter(is_paid)
            .map(to_sale)
            .filter(is_large)
            .map(with_tax)
            .key_by(product_of)
            .map_values(cents_of)
            .reduce_by_key(add)
            .to(sink)
        )

    return run_lists(build, lists, decode=decoder), [dict(rows) for rows in sink.batches.values()]


def _by_hand(
    loop: Callable[[Iterable[Iterable[Order]]], Results],
    decode: Callable[[Any], Iterable[Order]],
    lists: Sequence[Sequence[Any]],
) -> tuple[Spent, Results]:
    watch = Stopwatch()
    results = loop(map(decode, lists))
    return watch.read(), results


def measure() -> Report:
    """Measure, and check that all give the same."""
    lines = make_lists()
    decoder = json_decoder(Order)
    orders = [decoder.decode_many(part) for part in lines]
    size = sum(map(len, lines[0])) / RECORDS
    report = Report(
        "engine_tax",
        f"{BATCHES} batches of {RECORDS:,} records of {size:.0f} bytes, 1,000 keys; the pipeline has each committed to "
        f"RocksDB, synced\n{ROUNDS} interleaved rounds; ns/record are medians",
    )
    runs: dict[str, Callable[[], tuple[Spent, Results]]] = {
        PIPELINE: partial(pipeline, lines, decoder),
        f"{PIPELINE}, decoded before": partial(pipeline, orders, None),
    }
    for name, loop in {"calls": calls, "inline": inline}.items():
        runs[f"{name}, a batch decoded at once"] = partial(_by_hand, loop, decoder.decode_many, lines)
        runs[f"{name}, records decoded one by one"] = partial(_by_hand, loop, partial(map, decoder.decode), lines)
        runs[f"{name}, decoded before"] = partial(_by_hand, loop, iter, orders)
    spent: dict[str, list[Spent]] = {name: [] for name in runs}
    expected = inline(orders)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            took, results = run()
            assert results == expected, f"{name} gave other results"
            spent[name].append(took)
    for name, rounds in spent.items():
        wall, note = middle([took.wall * 1e9 / (BATCHES * RECORDS) for took in rounds])
        report.add(name, wall, "ns/record", note)
    for name, rounds in spent.items():
        if not name.startswith(PIPELINE):
            _compare(report, name, spent, rounds)
    return report


def _compare(report: Report, name: str, spent: dict[str, list[Spent]], rounds: Sequence[Spent]) -> None:
    """Add how the pipeline compares with one of the loops."""
    before = name.endswith("decoded before")
    pipelines = spent[f"{PIPELINE}, decoded before" if before else PIPELINE]
    fastest = min(took.wall for took in pipelines) / min(took.wall for took in rounds)
    verdict = "" if before else f"{'within' if fastest <= BOUND else 'ABOVE'} the bound of {BOUND}"
    report.add(f"pipeline / {name}", fastest, "times", f"fastest rounds: {verdict}".rstrip(": "))
    pairs = list(zip(pipelines, rounds, strict=True))
    report.add("    round by round", *_middle_ratio([mine.wall / theirs.wall for mine, theirs in pairs]))
    report.add("    in processor time", *_middle_ratio([mine.cpu / theirs.cpu for mine, theirs in pairs]))


def _middle_ratio(ratios: Sequence[float]) -> tuple[float, str, str]:
    value, note = middle(ratios)
    return value, "times", note


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
