"""The example as users start it: a process of its own."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from tests.examples import running


def started(*arguments: object) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Start the program with a summary in JSON, and kill it at the end if it still runs."""
    return running.started("weblog", "--summary", "json", *arguments)


async def summary_of(process: asyncio.subprocess.Process, stdin: bytes = b"") -> dict[str, Any]:
    """Wait for the end of the program, and return the summary on its last line."""
    stdout, stderr = await process.communicate(stdin)
    assert process.returncode == 0, stderr.decode()
    summary: dict[str, Any] = msgspec.json.decode(stdout.splitlines()[-1])
    return summary
