"""Examples as users start them: each a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def started(example: str, *arguments: object) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Start an example, and kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"examples.{example}", *map(str, arguments)),
        cwd=ROOT,
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


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """Wait until an example prints a line with a text, and return the line."""
    assert process.stdout is not None
    async for line in process.stdout:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"the example ended without printing {text!r}")
