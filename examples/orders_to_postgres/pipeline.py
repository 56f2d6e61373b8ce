"""The pipeline: each order is a row that is added, and each customer has a row that follows the orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from streamproc import App, Record, Settings
from streamproc.connectors.generator import GeneratorSource
from streamproc.connectors.sql import SqlSink
from streamproc.triggers import Trigger

__all__ = ["Order", "Revenue", "build"]

_CUSTOMERS = ("ann", "bob", "cleo", "dan")
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)


class Order(Record):
    """An order, as it comes in."""

    id: int
    customer: str
    amount: Decimal
    at: datetime


class Revenue(Record):
    """What a customer has ordered so far."""

    customer: str
    orders: int
    amount: Decimal


def make_order(number: int, chance: Random) -> Order:
    """Make up an order."""
    amount = Decimal(chance.randrange(100, 100_000)).scaleb(-2)
    return Order(number, chance.choice(_CUSTOMERS), amount, _FIRST + timedelta(seconds=number))


def add_orders(orders: list[Order], before: Revenue | None) -> Revenue:
    """Add a customer's new orders to the revenue."""
    revenue = before or Revenue(orders[0].customer, 0, Decimal(0))
    return Revenue(
        revenue.customer, revenue.orders + len(orders), revenue.amount + sum(order.amount for order in orders)
    )


def build(url: str, *, rate: float, limit: int | None, trigger: Trigger, settings: Settings) -> App:
    """Return the job.

    Args:
        url: The database; its tables ``orders`` and ``revenue`` are made if they aren't there.
        rate: Orders per second.
        limit: How many orders there are; None for no end.
        trigger: When batches begin.
        settings: Where the state is, and the like.
    """
    app = App("orders", trigger=trigger, settings=settings)
    orders = app.source(GeneratorSource(make_order, rate=rate, limit=limit))
    orders.to(SqlSink(url, "orders", create=Order), name="orders")
    (
        orders.key_by(lambda order: order.customer)
        .update_state_by_key(add_orders, name="revenue-state")
        .map(lambda pair: pair[1])
        .to(SqlSink(url, "revenue", key="customer", create=Revenue), name="revenue")
    )
    return app
