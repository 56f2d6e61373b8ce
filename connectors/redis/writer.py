"""`RedisWriter`: sends a batch's commands in pipelines, as often as it takes.

Which errors are waited for: those of the connection, and a server that is still loading its data. An error of
redis-py's class for lost connections can also be a refused password, a database that the server doesn't have, or a file
that isn't there; those don't go away by waiting.
"""

# redis-py's own types leave open what many of its functions take.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import TimeoutError as LateError

from streamproc.batch import Batch
from streamproc.errors import SinkError
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter

from .command import Command, Commands

__all__ = ["RedisWriter", "WriteOptions"]

T = TypeVar("T")

_DELAYS = EqualJitterBackoff(cap=10, base=0.1)
"""The wait doubles from 0.1 to 10 seconds, by a random part less: writers should not all come back at once."""

_LONGEST = 10
"""After how many failures the wait grows no more; powers of two would become too large for a float."""

_START_MS = 60_000
"""How long a server may be away when the job starts: longer than it takes to come up beside it."""

_ADVICE: Mapping[type[RedisError], str] = {
    NoPermissionError: "give the user of the URL the permission, with ACL SETUSER",
    OutOfMemoryError: "its memory is full: raise maxmemory, or let keys expire",
    ReadOnlyError: "it is a replica: name the primary in the URL",
    MovedError: "it is a node of a Redis Cluster, which this sink doesn't know: use a server that has all keys",
}
_WRONG_TYPE = "something else has this key: delete it, or choose another name or prefix"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How to write.

    Attributes:
        url: The server, with user, password and options.
        address: What of the URL may be shown.
        timeout_ms: How long the server may take to accept a connection, or to answer.
        pipeline: How many commands are sent at once.
    """

    url: str = field(repr=False)
    address: str
    timeout_ms: int
    pipeline: int


class RedisWriter(SinkWriter):
    """Writes to Redis for one shard; the payload is what `Commands.rows` returns, as MessagePack.

    Args:
        commands: What makes the commands of a batch.
        options: How to write.
        context: What the engine gives.
    """

    def __init__(self, commands: Commands, options: WriteOptions, context: SinkContext) -> None:
        self._commands = commands
        self._options = options
        self._context = context
        self._producer = f"{context.app}/{context.name}/{context.shard}"
        self._redis: Redis | None = None

    async def start(self) -> int | None:
        """Connect; what was published before is not known.

        Raises:
            SinkError: The server isn't there for a minute, or refuses, or the URL has options that redis-py doesn't
                know.
        """
        timeout = self._options.timeout_ms / 1000
        try:
            self._redis = Redis.from_url(
                self._options.url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                protocol=2,  # Every server knows it, and nothing here needs more.
                # Otherwise redis-py tries again by itself, on the time of the machine, and says nothing meanwhile.
                retry=Retry(NoBackoff(), 0),
            )
            await self._patiently(self._ping, until=self._context.clock.now() + _START_MS)
        except (TypeError, ValueError) as error:
            # Not as the cause, which could repeat the URL.
            raise SinkError(f"{self._where} can't be opened by the options of its URL: {error}") from None
        return None

    def encode(self, batch: Batch) -> bytes:
        """Return what the definition makes of each row."""
        return msgspec.msgpack.encode(self._commands.rows(batch))

    async def publish(self, entry: OutboxEntry) -> None:
        """Send a batch's commands; what was sent before is sent again.

        Raises:
            SinkError: The server refuses a command.
        """
        commands = self._commands.commands(msgspec.msgpack.decode(entry.payload), entry, self._producer)
        size = self._options.pipeline
        for start in range(0, len(commands), size):
            if start:
                self._context.step("redis_part_sent")
            part = commands[start : start + size]
            results = await self._patiently(partial(self._send, part))
            for command, result in zip(part, results, strict=True):
                if isinstance(result, RedisError):
                    raise self._refused(command, result, entry) from result

    async def close(self) -> None:
        """Close the connection."""
        if self._redis is not None:
            await self._redis.aclose()

    @property
    def _where(self) -> str:
        return f"sink {self._context.name!r}: Redis at {self._options.address}"

    @property
    def _client(self) -> Redis:
        assert self._redis is not None, "publish() before start()"
        return self._redis

    async def _ping(self) -> None:
        await self._client.execute_command("PING")  # type: ignore[no-untyped-call]

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]], *, until: int | None = None) -> T:
        """Return what an attempt returns, tried again for as long as the server can't be reached.

        Args:
            attempt: What to do.
            until: When to give up, in epoch milliseconds; None for never.

        Raises:
            SinkError: It can be reached, and refuses; or it was not reached in time.
        """
        clock = self._context.clock
        failures = 0
        while True:
            try:
                result = await attempt()
            except (LostError, LateError, OSError) as error:
                if reason := _lasting(error, by_socket=self._options.address.startswith("unix:")):
                    raise SinkError(f"{self._where} refuses the connection: {error}; {reason}") from error
                if until is not None and clock.now() >= until:
                    raise SinkError(f"{self._where} can't be reached: {error}; start it, or correct the URL") from error
                self._context.blocked(f"Redis at {self._options.address} can't be reached: {error}")
                delay = round(1_000 * _DELAYS.compute(min(failures, _LONGEST)))
                failures += 1
                await clock.sleep_until(clock.now() + delay)
            except RedisError as error:
                raise SinkError(f"{self._where} answers with an error: {error}") from error
            else:
                self._context.blocked(None)
                return result

    def _refused(self, command: Command, error: RedisError, entry: OutboxEntry) -> SinkError:
        # Not the values: they are the user's data.
        name, key = command[:2]
        advice = _WRONG_TYPE if str(error).startswith("WRONGTYPE") else _ADVICE.get(type(error), "")
        return SinkError(
            f"{self._where} refuses {name!s} of {key!r:.80}: {error}{advice and f': {advice}'}. "
            f"Batch {entry.batch_id} is kept and sent again at the next start"
        )


def _lasting(error: BaseException | None, *, by_socket: bool) -> str | None:
    """Return what to do about an error that waiting doesn't help against; None where it may.

    Args:
        error: What redis-py has raised.
        by_socket: Whether the server is at a Unix socket: a file that is missing may be that one.
    """
    # redis-py wraps some errors, and which ones has changed between its versions.
    while error is not None:
        if isinstance(error, AuthenticationError | AuthorizationError):
            return "check user and password in the URL"
        if isinstance(error, ssl.SSLCertVerificationError):
            return "check the server's certificate, or name its authority with ?ssl_ca_certs=ca.pem in the URL"
        if isinstance(error, FileNotFoundError) and not by_socket:
            return "a file with a certificate or key that the URL names is not there"
        if isinstance(error, ResponseError):
            return "check the number of the database in the URL, and what the user may do"
        error = error.__cause__ or error.__context__
    return None
