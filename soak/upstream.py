"""A connection to a service that sends requests as raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import h11

READ = 65_536


@dataclass(frozen=True, slots=True)
class Upstream:
    """A connection to a service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send a part of a request."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, method: bytes) -> AsyncIterator[bytes]:
        """The pieces of the response to a request that was sent, as they come."""
        framing = h11.Connection(our_role=h11.CLIENT)
        framing.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        framing.send(h11.EndOfMessage())
        while True:
            data = await self.reader.read(READ)
            framing.receive_data(data)
            ended = _ended(framing)
            if data:
                yield data
            if ended or not data:
                return

    def close(self) -> None:
        """Abort the connection."""
        self.writer.transport.abort()


def _ended(framing: h11.Connection) -> bool:
    while True:
        event = framing.next_event()
        if event is h11.NEED_DATA:
            return False
        if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
            return True
