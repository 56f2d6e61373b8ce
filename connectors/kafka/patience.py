"""Asking brokers until they answer: leaders move, and a coordinator may need to be loaded."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from streamproc.io.sink import SinkContext
from streamproc.io.source import SourceContext

from .cluster import Cluster

__all__ = ["patiently"]

T = TypeVar("T")

_PAUSE_MS = 200


async def patiently(ask: Callable[[], Awaitable[T]], cluster: Cluster, context: SourceContext | SinkContext) -> T:
    """Return the answer to a question, which is asked again as long as that may help.

    Args:
        ask: Asks it once.
        cluster: Whom; leaders are looked up anew before each further attempt.
        context: The source's or the sink's; it is told what is waited for.

    Raises:
        KafkaError: A further attempt would not help.
    """
    while True:
        try:
            answer = await ask()
        except KafkaError as error:
            if not error.retriable:
                raise
            context.blocked(f"asking {cluster.address}: {error!r}")
            await context.clock.sleep_until(context.clock.now() + _PAUSE_MS)
            with suppress(KafkaError, OSError):
                await cluster.refresh()
        else:
            context.blocked(None)
            return answer
