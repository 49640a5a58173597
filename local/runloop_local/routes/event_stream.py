"""Responses of server-sent events, with a heartbeat."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Message, Send

PING = b": ping\n\n"
HEARTBEAT_S = 15.0
"""Clients and proxies consider a connection dead after 30 to 60 s without a byte."""
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def event_stream(request: Request, frames: AsyncIterator[bytes]) -> EventStream:
    """An event stream of these frames, with the service's heartbeat."""
    return EventStream(frames, request.app.state.heartbeat)


class EventStream(StreamingResponse):
    """Sends frames as they come, and a comment whenever nothing was sent for `heartbeat` seconds; 0 turns that off.

    The timer belongs to the response, not to the source of frames: a source that wakes up without a frame, as for
    output on the other stream, does not delay the heartbeat.
    """

    def __init__(self, frames: AsyncIterator[bytes], heartbeat: float = HEARTBEAT_S) -> None:
        super().__init__(frames, 200, _HEADERS, "text/event-stream")
        self._heartbeat = heartbeat

    async def stream_response(self, send: Send) -> None:
        """Send the frames, and heartbeats in between."""
        if not self._heartbeat:
            await super().stream_response(send)
            return
        line = _HeartbeatSender(send, self._heartbeat)
        beating = asyncio.create_task(line.beat())
        try:
            await super().stream_response(line.send)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)  # it can only have failed because the client has gone


class _HeartbeatSender:
    """Sends the messages of a response one at a time, and heartbeats when it was silent."""

    def __init__(self, send: Send, heartbeat: float) -> None:
        self._send = send
        self._heartbeat = heartbeat
        self._turn = asyncio.Lock()
        self._now = asyncio.get_running_loop().time
        self._sent_at = self._now()

    async def send(self, message: Message) -> None:
        async with self._turn:
            await self._send_now(message)

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(self._left)
            async with self._turn:
                if self._left <= 0:
                    await self._send_now({"type": "http.response.body", "body": PING, "more_body": True})

    @property
    def _left(self) -> float:
        return self._sent_at + self._heartbeat - self._now()

    async def _send_now(self, message: Message) -> None:
        await self._send(message)
        self._sent_at = self._now()
