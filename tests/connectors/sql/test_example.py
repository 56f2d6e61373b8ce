"""The example's two tables agree, also when it was stopped in between."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from math import inf
from pathlib import Path

from examples.orders_to_postgres.pipeline import build
from streamproc import Once, Settings


async def test_orders_and_revenue_agree(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "state"), max_records=50)
    for limit in (200, 500):
        url = f"sqlite:///{tmp_path}/orders.db"
        await build(url, rate=inf, limit=limit, trigger=Once(), settings=settings).serve()
    with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
        orders = connection.execute("SELECT id, customer, amount FROM orders ORDER BY id").fetchall()
        revenue = connection.execute("SELECT customer, orders, amount FROM revenue").fetchall()
    assert [number for number, _, _ in orders] == list(range(500))
    assert {customer: (count, Decimal(amount)) for customer, count, amount in revenue} == {
        customer: (len(amounts), sum(amounts))
        for customer in {customer for _, customer, _ in orders}
        if (amounts := [Decimal(amount) for _, name, amount in orders if name == customer])
    }
