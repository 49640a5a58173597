"""The sending side of an HTTP/2 connection: responses, as far as flow control and the transport allow."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes

from .frames import GOAWAY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from h2.connection import H2Connection

    from .exchange import Exchange
    from .frames import TokenBucket
    from .heads import Header

_BURST = 64 * 1024
"""Bytes of a response after which others get a turn."""
_TOKENS_FOR_DATA = 10


class Sender:
    """Sends what exchanges answer. It is the `ResponseSender` that they use."""

    transport: asyncio.Transport

    def __init__(self, connection: H2Connection, token_bucket: TokenBucket, finished: Callable[[int], None]) -> None:
        """`finished` is called with the stream of each exchange that has ended."""
        self._h2 = connection
        self._token_bucket = token_bucket
        self._finished = finished
        self._writable = asyncio.Event()
        self._writable.set()

    def pause(self) -> None:
        """Hold responses until `resume`."""
        self._writable.clear()

    def resume(self) -> None:
        """Let responses continue."""
        self._writable.set()

    async def writable(self) -> None:
        """Wait until the transport accepts more data."""
        while not self._writable.is_set():
            await self._writable.wait()

    def send_head(self, exchange: Exchange, fields: Sequence[Header], *, last: bool) -> None:
        """Send a head; `last` if no body follows."""
        self._h2.send_headers(exchange.stream_id, fields, end_stream=last)
        self.flush()

    async def send_body(self, exchange: Exchange, data: memoryview, *, last: bool) -> None:
        """Send a part of the body as flow control allows; returns early if the client has gone."""
        while True:
            await self.writable()
            if exchange.disconnected:
                return
            sent = self._send_piece(exchange.stream_id, data, last=last)
            data = data[sent:]
            if not data:
                return
            if sent:
                await asyncio.sleep(0)
            else:
                exchange.window_open.clear()
                await exchange.window_open.wait()

    def acknowledge(self, exchange: Exchange, count: int) -> None:
        """Open the windows again by the bytes of the request's body that were consumed."""
        self.acknowledge_unread(exchange.stream_id, count)
        self.flush()

    def reset(self, exchange: Exchange) -> None:
        """Reset the stream in the middle of its response."""
        self._h2.reset_stream(exchange.stream_id, ErrorCodes.INTERNAL_ERROR)
        self.finished(exchange)

    def finished(self, exchange: Exchange) -> None:
        """End an exchange whose response is complete or reset."""
        self._finished(exchange.stream_id)

    def acknowledge_unread(self, stream_id: int, count: int) -> None:
        """Open the windows again, without sending anything yet."""
        if count and not self.transport.is_closing():
            self._h2.acknowledge_received_data(count, stream_id)

    def send_goaway(self, last_stream_id: int) -> None:
        """Send a GOAWAY that refuses requests on streams above this one."""
        # Not through h2, which would consider the connection closed and send no more responses.
        self.transport.write(struct.pack(">xHBBIII", 8, GOAWAY, 0, 0, last_stream_id, ErrorCodes.NO_ERROR))

    def flush(self) -> None:
        """Send what h2 has queued."""
        data = self._h2.data_to_send()
        if data:
            self.transport.write(data)

    def _send_piece(self, stream_id: int, data: memoryview, *, last: bool) -> int:
        """Send as much as the windows allow; returns the number of bytes."""
        room = max(0, min(self._h2.local_flow_control_window(stream_id), len(data), _BURST))
        step = self._h2.max_outbound_frame_size
        for start in range(0, room, step):
            end = min(start + step, room)
            self._h2.send_data(stream_id, data[start:end], end_stream=last and end == len(data))
            self._token_bucket.refill(_TOKENS_FOR_DATA)
        if last and not data:
            self._h2.end_stream(stream_id)
        self.flush()
        return room
