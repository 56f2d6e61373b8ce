"""A sink that is defined wrongly is refused while the pipeline is built; a password is shown nowhere."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from streamproc import Record
from streamproc.connectors.sql import SqlSink
from streamproc.errors import PipelineError

URL = "postgresql://ann:hunter2@db.example:5433/shop"


class Order(Record):
    id: int
    note: str | None
    price: int | str = 0


class Unkeyed(Record):
    id: int | None


def test_a_password_is_never_shown() -> None:
    sink = SqlSink[Any](f"{URL}?application_name=hunter2", "orders")
    assert sink.address == "postgresql://db.example:5433/shop"
    assert "hunter2" not in repr(sink)


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "postgresql://ann:hunter2@host:port/shop",
        "nosuch://ann:hunter2@host/shop",
        "postgresql+psycopg2://ann:hunter2@host/shop",
        "mysql+asyncmy://ann:hunter2@host/shop",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///file:/x?vfs=memdb&uri=true",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:%253Amemory:?uri=true",
        "sqlite:///file:?uri=true",
        "sqlite:///file://localhost?uri=true",
    ],
)
def test_a_url_that_can_not_be_used(url: str) -> None:
    with pytest.raises(PipelineError) as raised:
        SqlSink[Any](url, "orders")
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_url_of_sqlite_within_the_url_is_of_a_file() -> None:
    sink = SqlSink[Any]("sqlite:///file:/tmp/orders.db?cache=private&uri=true", "orders")
    assert sink.address.endswith("/tmp/orders.db")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected either a table or statement="),
        ({"table": "t", "statement": "DELETE FROM t WHERE id = :id"}, "expected either a table or statement="),
        ({"table": ""}, "expected names"),
        ({"table": "t", "columns": "id"}, r"columns='id'\): expected a sequence of names"),
        ({"table": "t", "columns": ("id", "id")}, "a column is named twice"),
        ({"table": "t", "columns": ("note",), "key": "id"}, "expected the columns of key='id' too"),
        ({"table": "t", "row": "id"}, r"row='id'\): expected a function of the element"),
        ({"table": "t", "timeout": "soon"}, "timeout"),
        ({"statement": "DELETE FROM t"}, "expected parameters for the values of a row"),
        ({"statement": "DELETE FROM t WHERE id = :id", "key": "id"}, "key= and create= are for a table"),
        ({"statement": "DELETE FROM t WHERE id = :id", "columns": ("x",)}, "the statement has the parameters id"),
        ({"table": "t", "create": dict}, "expected a Record type"),
        ({"table": "t", "create": Order}, "field 'price' has values of several types"),
        ({"table": "t", "create": Unkeyed, "key": "id"}, "field 'id' is a part of the key and may be None"),
        ({"table": "t", "create": Unkeyed, "key": "nosuch"}, "Unkeyed has no field 'nosuch'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        SqlSink[Any](URL, **arguments)


@pytest.mark.parametrize(
    ("package", "statement", "extra"),
    [
        ("sqlalchemy", "import streamproc.connectors.sql", "sql"),
        (
            "asyncpg",
            "from streamproc.connectors.sql import *; SqlSink('postgresql://host/shop', 't')",
            "postgres",
        ),
    ],
)
def test_what_is_missing_is_named(package: str, statement: str, extra: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None\n{statement}"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"MissingExtraError: {'streamproc' if extra == 'sql' else 'SqlSink'}" in ended.stderr
    assert f"pip install 'streamproc[{extra}]'" in ended.stderr
