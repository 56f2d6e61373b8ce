"""The example as users start it: a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.examples.weblog.logs import ROOT


@asynccontextmanager
async def started(*arguments: object) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Start the program with a summary in JSON, and kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.weblog", "--summary", "json", *map(str, arguments)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def summary_of(process: asyncio.subprocess.Process, stdin: bytes = b"") -> dict[str, Any]:
    """Wait for the end of the program, and return the summary on its last line."""
    stdout, stderr = await process.communicate(stdin)
    assert process.returncode == 0, stderr.decode()
    summary: dict[str, Any] = msgspec.json.decode(stdout.splitlines()[-1])
    return summary


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """Wait until the program prints a line with a text on standard error, and return the line."""
    assert process.stderr is not None
    async for line in process.stderr:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"the program ended without printing {text!r}")


def rows(directory: Path) -> list[dict[str, Any]]:
    """Return the rows of the part files in a directory, in their order."""
    parts = sorted(directory.glob("part-*.ndjson"))
    return [msgspec.json.decode(line) for part in parts for line in part.read_bytes().splitlines()]
