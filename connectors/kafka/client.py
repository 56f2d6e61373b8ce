"""`Client`: aiokafka's client of the protocol, but for three things that it does to others or doesn't get done.

* To ask for a topic makes none, whatever the brokers' auto.create.topics.enable says.
* What it has to send is not kept for a broker that doesn't read: aiokafka waits for the end of each connection, and a
  connection with unsent bytes to a frozen broker has none.
* Who waits for the brokers and leaders to be looked up is answered when it is closed.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateUsage=false, reportUntypedBaseClass=false

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from typing import Any

from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]
from aiokafka.conn import AIOKafkaConnection, CloseReason  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]

__all__ = ["Client"]

_CLOSING_MS = 2_000
"""How long brokers have to read what was sent to them last."""


class Client(AIOKafkaClient):  # type: ignore[misc]
    """Takes what `AIOKafkaClient` takes. What begins with an underscore is called, or kept, by aiokafka 0.14."""

    _conns: dict[Any, AIOKafkaConnection]
    _md_update_fut: asyncio.Future[bool] | None

    async def close(self) -> None:
        """Disconnect, within two seconds."""
        transports = [_transport(connection) for connection in self._conns.values()]
        closing = asyncio.ensure_future(super().close())
        try:
            await asyncio.wait((closing,), timeout=_CLOSING_MS / 1000)
        finally:
            # Without effect on those that have ended.
            for transport in transports:
                if transport is not None:
                    transport.abort()
        await closing
        if self._md_update_fut is not None and not self._md_update_fut.done():
            self._md_update_fut.set_result(False)

    async def _metadata_update(self, cluster_metadata: Any, topics: Collection[str] | None) -> bool:
        """Ask one broker after the other for brokers and topics, and return whether one has answered."""
        request = MetadataRequest(None if topics is None else sorted(topics), allow_auto_topic_creation=False)
        nodes = [broker.nodeId for broker in self.cluster.brokers()]
        random.shuffle(nodes)
        for node in nodes:
            try:
                answer = await self.send(node, request)
            except (TimeoutError, KafkaError):
                continue
            if answer.brokers:
                cluster_metadata.update_metadata(answer)
                return True
        cluster_metadata.failed_update(None)
        return False

    def _on_connection_closed(self, conn: AIOKafkaConnection, reason: CloseReason | None) -> None:
        """Learn that a connection is closed, by this client or by the broker."""
        if reason is not CloseReason.SHUTDOWN and (transport := _transport(conn)) is not None:
            transport.abort()
        super()._on_connection_closed(conn, reason)


def _transport(connection: AIOKafkaConnection) -> asyncio.Transport | None:
    """Return a connection's transport; None when it has ended."""
    # Not that of its writer, which it forgets as soon as it begins to close.
    protocol: Any = connection._protocol
    return None if protocol is None else protocol._transport
