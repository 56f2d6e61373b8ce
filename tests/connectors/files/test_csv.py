"""CSV, both ways."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.batch import Batch
from streamproc.connectors.files import Csv, FileSource, Format
from streamproc.errors import DecodeError, EncodeError
from streamproc.io.source import Limits
from streamproc.records import Record
from tests.connectors.files.reading import Job


class Trade(Record):
    symbol: str
    price: float
    day: date | None = None
    lot: int = 1
    checked: bool = False


async def read(path: Path, format: Format[Any], limits: Limits | None = None) -> list[Any]:
    """Read a file with a restart behind each batch."""
    job = await Job(FileSource(path, format)).start()
    values: list[Any] = []
    while not job.reader.finished:
        values += await (job.batch(limits) if limits else job.batch())
        await job.restart()
        await job.reader.wait()
    await job.close()
    return values


async def test_fields_become_dicts_by_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfname,note\r\nann,hello\r\n\r\nbob,\r\n")
    assert await read(path, Csv()) == [{"name": "ann", "note": "hello"}, {"name": "bob", "note": ""}]


async def test_quoted_fields_hold_separators_quotes_and_line_breaks(tmp_path: Path) -> None:
    rows = [["1", 'say "hi", then\nleave\r\n'], ["2", '"'], ["3", "\n\n"], ["4", 'six 6" discs, one 5"'], ["5", ""]]
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", 'a "quoted"\nname'], *rows])

    for limits in (None, Limits(1, 1 << 20), Limits(2, 10)):
        records = await read(path, Csv(), limits)
        assert [list(record.values()) for record in records] == rows
        assert list(records[0]) == ["id", 'a "quoted"\nname']


async def test_positions_of_records_are_the_lines_they_begin_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('h\n"a\nb"\n\nc\n"d\n\nd"\ne\n')
    job = await Job(FileSource(path, Csv())).start()
    assert [record["h"] for record in await job.rest()] == ["a\nb", "c", "d\n\nd", "e"]
    assert job.origins == [f"in [a.csv] at {line}" for line in (2, 5, 6, 9)]
    await job.close()


async def test_text_is_converted_to_the_fields_of_a_record(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("lot,symbol,extra,price,day,checked\n3,X,?,1.5,2024-02-29,true\n,,?,2,,\n")
    assert await read(path, Csv(Trade)) == [Trade("X", 1.5, date(2024, 2, 29), 3, True), Trade("", 2.0)]


async def test_given_columns_mean_that_there_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("X;1.5\nY;2\n")
    pairs = Csv(Trade, columns=["symbol", "price"], delimiter=";")
    assert await read(path, pairs, Limits(1, 100)) == [Trade("X", 1.5), Trade("Y", 2.0)]


async def test_files_with_different_headers_can_be_in_one_batch(tmp_path: Path) -> None:
    decoder = Csv().decoder
    assert decoder.decode_many([b'["a"]\n1', b'["a"]\n2', b'["a","b"]\n1,2', b'["a"]\n3']) == [
        {"a": "1"},
        {"a": "2"},
        {"a": "1", "b": "2"},
        {"a": "3"},
    ]


def test_a_bad_record_fails_alone() -> None:
    decoder = Csv(Trade, columns=["symbol", "price"]).decoder
    assert decoder.decode(b"X,1") == Trade("X", 1.0)
    with pytest.raises(DecodeError, match="expected 2 fields \\(symbol, price\\), found 1"):
        decoder.decode(b"X")
    with pytest.raises(msgspec.ValidationError, match="float"):
        decoder.decode(b"X,cheap")
    with pytest.raises(msgspec.ValidationError, match="missing required field `price`"):
        decoder.decode(b"X,")


CELL = st.text(alphabet=st.sampled_from('ab",;\n\r \u00e9'), max_size=6)


@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=8),
    cut=st.integers(0, 60),
)
def test_whatever_is_written_reads_back_however_the_file_is_cut(rows: list[list[str]], cut: int) -> None:
    pairs = Csv(columns=["a", "b"])
    data = pairs.encode(Batch(rows)).body

    records, used = pairs.split(data[:cut])
    more, more_used = pairs.split(data[used:])

    assert used + more_used == len(data)
    assert [list(record.values()) for record in pairs.decoder.decode_many(records + more)] == rows


@given(data=st.text(alphabet=st.sampled_from('a",\n'), max_size=30))
def test_untidy_quotes_are_understood_as_the_standard_library_does(data: str) -> None:
    data += "\n"
    pairs = Csv(columns=["a"])
    records, used = pairs.split(data.encode())
    lines = io.StringIO(data[:used], newline="")
    assert [next(csv.reader([record.decode()])) if record else [] for record in records] == list(csv.reader(lines))
    assert '"' in data[used:] or used == len(data)


def encode(rows: list[Any], keys: list[Any] | None = None, format: Csv[Any] | None = None) -> str:
    written = (format or Csv()).encode(Batch(rows, keys))
    return (written.header + written.body).decode()


def test_records_are_written_so_that_they_read_back() -> None:
    trades = [Trade("a,b", 1.5, date(2024, 2, 29), 2, True), Trade('"', -0.25)]
    text = encode(trades)
    assert text == 'symbol,price,day,lot,checked\n"a,b",1.5,2024-02-29,2,true\n"""",-0.25,,1,false\n'
    pairs = Csv(Trade, columns=text.split("\n")[0].split(","))
    assert pairs.decoder.decode_many([line.encode() for line in text.split("\n")[1:-1]]) == trades


def test_rows_of_other_kinds() -> None:
    assert encode([{"a": 1, "b": [1, {"x": None}]}, {"b": None, "a": 2}]) == 'a,b\n1,"[1,{""x"":null}]"\n2,\n'
    assert encode([3, "x"], ["k", "l"]) == "key,value\nk,3\nl,x\n"
    assert encode([(1, 2)], format=Csv(columns=["a", "b"])) == "a,b\n1,2\n"
    assert encode([{"b": 1}], ["k"], Csv(columns=["k", "a", "b"])) == "k,a,b\nk,,1\n"
    assert encode([{"a": 1, "c": ""}], format=Csv(delimiter=";")) == "a;c\n1;\n"


@pytest.mark.parametrize("rows", [[{"a": 1}, {"b": 1}], [{"a": 1}, {"a": 1, "b": 1}], [{"a": 1}, Trade("x", 1)]])
def test_rows_with_other_fields_than_the_first_are_refused(rows: list[Any]) -> None:
    with pytest.raises(EncodeError, match="does not have the fields of the file: expected a"):
        encode(rows)
    with pytest.raises(EncodeError, match="has no names for its fields"):
        encode([(1, 2)])
