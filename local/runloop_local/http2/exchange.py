"""One request and its response on an HTTP/2 stream, with ASGI's `receive` and `send`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import PlainTextResponse

from ..direct import ABORT
from .heads import length_of, reply_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message

    from .heads import Header

_BODILESS = frozenset({204, 304})
logger = logging.getLogger("uvicorn.error")


class ResponseSender(Protocol):
    """The connection, as far as exchanges use it."""

    async def writable(self) -> None:
        """Wait until the transport accepts more data."""

    def send_head(self, exchange: Exchange, fields: Sequence[Header], *, last: bool) -> None:
        """Send a head; `last` if no body follows."""

    async def send_body(self, exchange: Exchange, data: memoryview, *, last: bool) -> None:
        """Send a part of the body as flow control allows; returns early if the client has gone."""

    def acknowledge(self, exchange: Exchange, count: int) -> None:
        """Open the windows again by the bytes of the request's body that were consumed."""

    def reset(self, exchange: Exchange) -> None:
        """Reset the stream in the middle of its response."""

    def finished(self, exchange: Exchange) -> None:
        """Forget the stream, whose response is complete."""


class Exchange:
    """A request being answered; provides the application's `receive` and `send`."""

    def __init__(self, sender: ResponseSender, stream_id: int, scope: dict[str, Any], *, body_complete: bool) -> None:
        self.stream_id = stream_id
        self.disconnected = False
        """True once nobody reads the response any more."""
        self.window_open = asyncio.Event()
        """Set when the client's flow control windows may be open again."""
        self._sender = sender
        self._scope = scope
        scope["extensions"] = {ABORT: self._abort}
        self._body = bytearray()
        self._unacknowledged = 0
        self._body_complete = body_complete
        self._changed = asyncio.Event()
        if body_complete:
            self._changed.set()
        self._expects = (b"expect", b"100-continue") in scope["headers"]
        self._started = self._complete = False
        self._bodiless = scope["method"] == "HEAD"
        self._content_left: int | None = None

    async def run(self, app: ASGIApp) -> None:
        """Run the application on the request."""
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:
            logger.exception("Exception in ASGI application\n")
        else:
            if not self._complete and not self.disconnected:
                logger.error("ASGI callable returned without completing response.")
        finally:
            await self._end()

    async def _end(self) -> None:
        """Answer 500 if the application has not answered, and reset the stream if its response is incomplete."""
        if not self._started and not self.disconnected:
            await PlainTextResponse("Internal Server Error", 500)(self._scope, self.receive, self.send)
        if not self._complete:
            self._abort()

    async def receive(self) -> Message:
        """ASGI receive: the part of the body that has arrived, or the disconnect."""
        # The application reads only a request that it accepts, so this is the moment to ask the client for the body.
        if self._expects and not self._started and not self.disconnected:
            self._expects = False
            self._sender.send_head(self, [(b":status", b"100")], last=False)
        if not self.disconnected and not self._complete:
            await self._changed.wait()
            self._changed.clear()
        if self.disconnected or self._complete:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        # Only what the application has taken opens the window again, so a slow one slows the client down.
        self._sender.acknowledge(self, self.take_unacknowledged())
        return {"type": "http.request", "body": body, "more_body": not self._body_complete}

    async def send(self, message: Message) -> None:
        """ASGI send: the head of the response, or a part of its body."""
        await self._sender.writable()
        if self.disconnected:
            return
        expected = "http.response.body" if self._started else "http.response.start"
        if self._complete or message["type"] != expected:
            raise RuntimeError(f"Unexpected ASGI message {message['type']!r}.")
        if self._started:
            await self._send_body(memoryview(message.get("body", b"")), last=not message.get("more_body", False))
        else:
            self._send_head(message["status"], message.get("headers", ()))

    def body_received(self, data: bytes, counted: int) -> None:
        """Buffer a part of the request's body; `counted` includes the padding that flow control counts."""
        self._unacknowledged += counted
        self._body += data
        self._changed.set()

    def body_ended(self) -> None:
        """Note that the request's body is complete."""
        self._body_complete = True
        self._changed.set()

    def take_unacknowledged(self) -> int:
        """Take the number of received bytes that have not been acknowledged yet."""
        count, self._unacknowledged = self._unacknowledged, 0
        return count

    def disconnect(self) -> None:
        """Disconnect: nobody reads the response any more."""
        self.disconnected = True
        self._changed.set()
        self.window_open.set()

    def _send_head(self, status: int, headers: Sequence[Header]) -> None:
        fields = reply_head(status, headers)
        self._started = True
        self._bodiless = self._bodiless or status in _BODILESS
        self._content_left = None if self._bodiless else length_of(fields)
        self._sender.send_head(self, fields, last=self._bodiless)

    async def _send_body(self, data: memoryview, *, last: bool) -> None:
        if self._content_left is not None:
            self._content_left -= len(data)
            if self._content_left < 0 or (last and self._content_left):
                raise RuntimeError("The response's body is not as long as its Content-Length says.")
        if not self._bodiless:
            await self._sender.send_body(self, data, last=last)
        if last and not self.disconnected:
            self._complete = True
            self._sender.finished(self)

    def _abort(self) -> None:
        if self.disconnected:
            return
        self.disconnect()
        if self._started and self._bodiless:  # the head ended the stream
            self._sender.finished(self)
        else:
            self._sender.reset(self)
