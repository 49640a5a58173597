"""Sends the head of a response together with a short body.

Uvicorn writes them one after the other, and the client would be woken for each. A head whose body comes later, as
that of a stream does, is sent in the next round of the event loop.
"""

from __future__ import annotations

import asyncio

_COALESCED = 64 << 10
"""Bytes of a body that are copied to be sent with their head."""


class ResponseTransport:
    """A connection's transport, as one response writes to it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._sending: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        """Send `data`, or hold it if it is the first."""
        if self._sending is None:
            self._head, self._sending = data, self._loop.call_soon(self.flush)
        elif self._head is None or len(data) > _COALESCED:
            self.flush()
            self._transport.write(data)
        else:
            head, self._head = self._head, None
            self._sending.cancel()
            self._transport.write(head + data)

    def flush(self) -> None:
        """Send the head if it is held."""
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection once all was sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """True if it is closed, or about to be."""
        return self._transport.is_closing()
