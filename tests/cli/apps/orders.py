"""The app that the tests of the command run: copied into a folder of its own, and started there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from random import Random

from streamproc import App, KeyedProcess, List, Map, ProcessContext, Record
from streamproc.connectors.files import FileSink
from streamproc.connectors.generator import GeneratorSource

CUSTOMERS = ["ann", "bob", "42", "élise"]


class Order(Record):
    customer: str
    item: int
    price: Decimal


class Total(Record):
    orders: int
    spent: Decimal


class Habits(KeyedProcess[str, Order, tuple[str, int]]):
    """Which items a customer orders how often, and in which order; forgotten at the end of time."""

    items = Map(int, int)
    history = List(int)

    def process(self, context: ProcessContext[str], value: Order) -> Iterable[tuple[str, int]]:
        ordered = context.map(self.items)
        ordered.put(value.item, (ordered.get(value.item) or 0) + 1)
        context.list(self.history).append(value.item)
        context.set_timer(1 << 60)
        return []


def order(number: int, random: Random) -> Order:
    return Order(CUSTOMERS[number % len(CUSTOMERS)], number % 3, Decimal("1.50"))


def add(orders: list[Order], total: Total | None) -> Total:
    before = total or Total(0, Decimal(0))
    return Total(before.orders + len(orders), before.spent + sum((o.price for o in orders), Decimal(0)))


def make_app(limit: int | None = 100, rate: float = math.inf) -> App:
    app = App("orders")
    orders = app.source(GeneratorSource(order, rate=rate, limit=limit), name="orders").key_by(lambda o: o.customer)
    orders.update_state_by_key(add, name="totals").to(FileSink("out"), name="sink")
    orders.process(Habits(), name="habits").print()
    orders.key_by(lambda pair: (pair[0], pair[1].item)).update_state_by_key(
        lambda new, before: (before or 0) + len(new), name="pairs"
    ).print(name="pairs-sink")
    return app


def make_windowed() -> App:
    app = App("windowed")
    app.source(GeneratorSource(order, rate=math.inf, limit=100)).count_by_window("1s").print()
    return app


async def make_async() -> App:
    return make_app()


app = make_app()
endless = make_app(limit=None, rate=200)
no_output = App("no-output")
number = 42
