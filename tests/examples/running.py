"""Examples as users start them: each a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def started(example: str, *arguments: object) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Start an example, and kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"examples.{example}", *map(str, arguments)),
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


async def output_of(process: asyncio.subprocess.Process) -> list[str]:
    """Wait for the end of an example, and return the lines that it has printed."""
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode().splitlines()


async def run(example: str, *arguments: object) -> list[str]:
    """Run an example to its end, and return the lines that it prints."""
    async with started(example, *arguments) as process:
        return await output_of(process)


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    """Wait until an example prints a line with a text to a stream of its, and return the line."""
    assert stream is not None
    async for line in stream:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"the example ended without printing {text!r}")


def rows(directory: Path) -> list[dict[str, Any]]:
    """Return the rows of the part files in a directory, in their order."""
    parts = sorted(directory.glob("part-*.ndjson"))
    return [msgspec.json.decode(line) for part in parts for line in part.read_bytes().splitlines()]
