"""A log through the whole job: what comes out is what an independent count finds."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.examples.running import line_with, rows
from tests.examples.weblog.logs import assert_totals, count, log_file
from tests.examples.weblog.program import started, summary_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return log_file(tmp_path)


@pytest.fixture
def lines(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines(keepends=True)


def append(path: Path, lines: list[bytes]) -> None:
    with path.open("ab") as file:
        file.writelines(lines)


async def test_a_file_is_counted_to_the_line(log: Path, tmp_path: Path) -> None:
    async with started("--file", log, "--out", tmp_path / "out", "--echo") as process:
        summary = await summary_of(process)

    assert_totals(summary, count(log))
    last_totals = {row["client"]: row["requests"] for row in rows(tmp_path / "out" / "clients")}
    assert last_totals == summary["by_client"]
    assert Counter(row["client"] for row in rows(tmp_path / "out" / "lines")) == count(log).by_client


async def test_lines_over_tcp_are_counted_to_the_line(log: Path, lines: list[bytes], tmp_path: Path) -> None:
    async with started("--tcp", "127.0.0.1:0", "--out", tmp_path / "out") as process:
        host, port = (await line_with(process.stderr, "listening on ")).split()[-1].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.writelines(lines)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await line_with(process.stderr, f" {count(log).lines:,} lines")
        process.send_signal(signal.SIGTERM)
        summary = await summary_of(process)

    assert_totals(summary, count(log))


async def test_standard_input_is_counted_to_the_line(log: Path, lines: list[bytes], tmp_path: Path) -> None:
    async with started("--stdin", "--out", tmp_path / "out") as process:
        summary = await summary_of(process, b"".join(lines))

    assert_totals(summary, count(log))


async def test_a_job_that_is_started_again_goes_on_where_it_was(log: Path, lines: list[bytes], tmp_path: Path) -> None:
    followed = tmp_path / "followed.log"
    append(followed, lines[:7_000])
    async with started("--follow", followed, "--out", tmp_path / "out", "--echo") as process:
        await line_with(process.stderr, " 7,000 lines")
        process.kill()
        await process.wait()

    append(followed, lines[7_000:])
    async with started("--follow", followed, "--out", tmp_path / "out", "--echo") as process:
        await line_with(process.stderr, " 3,000 lines")
        process.send_signal(signal.SIGINT)
        summary = await summary_of(process)

    assert_totals(summary, count(log))
    assert Counter(row["client"] for row in rows(tmp_path / "out" / "lines")) == count(log).by_client


async def test_every_window_of_a_file_comes_out_and_adds_up(log: Path, tmp_path: Path) -> None:
    async with started("--file", log, "--out", tmp_path / "out") as process:
        await summary_of(process)

    windows = rows(tmp_path / "out" / "windows")
    # A request is in all six of the minutes that begin ten seconds apart around it.
    assert sum(window["requests"] for window in windows) == 6 * count(log).lines
    assert all(window["requests"] == sum(window["statuses"].values()) for window in windows)
    assert [window["end"] for window in windows] == sorted({window["end"] for window in windows})


async def test_lines_that_are_none_of_a_log_are_counted_and_kept(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    good = '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 7 "-" "-"\n'
    log.write_text(f"{good}--MARK--\n\n{good}")
    async with started("--file", log, "--out", tmp_path / "out") as process:
        summary = await summary_of(process)

    assert (summary["lines"], summary["parsed"], summary["rejected"]) == (4, 2, 2)
    assert summary["bytes"] == 14
    rejected = rows(tmp_path / "out" / "rejected")
    assert [row["value"] for row in rejected] == ["--MARK--", ""]
    assert rejected[0]["position"].endswith("access.log] at 2")
