"""One HTTP/2 connection: its streams, on the library h2, flow control, and shutdown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from starlette.responses import PlainTextResponse
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from .exchange import Exchange
from .frames import GOAWAY, Frame, FrameSplitter, FrameTooLongError, TokenBucket
from .heads import HeadError, RequestHead
from .preface import PREFACE
from .sender import Sender

if TYPE_CHECKING:
    from h2.events import Event
    from hpack import Encoder
    from starlette.types import ASGIApp
    from uvicorn.server import ServerState

MAX_STREAMS = 128
"""Clients assume 100 until they have received the settings."""
STREAM_WINDOW = 256 * 1024
"""Bytes of a request's body that are buffered until the application reads them."""
_CONNECTION_WINDOW = MAX_STREAMS * STREAM_WINDOW
"""Large enough that streams that are not read do not block the others."""
_FRAME_BYTES = 16 * 1024
_TABLE_BYTES = 4096
"""The limit of the HPACK table for responses, even if a client allows more."""
_MAX_TOKENS, _TOKENS_PER_SECOND = 4000, 1000
_GRACE_S = 0.25
"""The time after the first GOAWAY in which requests that were already in flight are still accepted."""
_LAST_SECONDS = 1.0
"""The time that a client has to read the GOAWAY after a protocol error."""
_ANY_STREAM = 2**31 - 1


class Http2(asyncio.Protocol):
    """The asyncio protocol of an HTTP/2 connection, the counterpart of uvicorn's for HTTP/1.1."""

    def __init__(self, app: ASGIApp, state: ServerState, keep_alive: float) -> None:
        self._app = app
        self._state = state
        self._connections: set[Any] = state.connections
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._frames = FrameSplitter(_FRAME_BYTES)
        self._token_bucket = TokenBucket(_MAX_TOKENS, _TOKENS_PER_SECOND, self._loop.time())
        self._h2 = _connection()
        self._sender = Sender(self._h2, self._token_bucket, self._finished)
        self._exchanges: dict[int, Exchange] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._last_stream_id = _ANY_STREAM
        """Requests on higher streams are refused."""
        self._closing = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Initiate HTTP/2 for a client that has sent the preface."""
        self._transport = self._sender.transport = cast("asyncio.Transport", transport)
        self._server, self._client = get_local_addr(self._transport), get_remote_addr(self._transport)
        self._connections.add(self)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW - self._h2.inbound_flow_control_window)
        self._h2.receive_data(PREFACE)
        self._start_idle_timer()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Process the frames that have arrived."""
        try:
            for frame in self._frames.split(data):
                self._receive_frame(frame)
        except FrameTooLongError:
            self._h2.close_connection(ErrorCodes.FRAME_SIZE_ERROR)
            self._close_with_error()
        except ProtocolError:  # h2 has queued the GOAWAY
            self._close_with_error()
        else:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Disconnect all exchanges, as the client has gone."""
        self._connections.discard(self)
        self._disconnect_all()

    def pause_writing(self) -> None:
        """Hold responses while the transport's buffer is full."""
        self._sender.pause()

    def resume_writing(self) -> None:
        """Let responses continue."""
        self._sender.resume()

    def shutdown(self) -> None:
        """Refuse new requests, and close once those received have been answered."""
        if not self._transport.is_closing():
            self._last_stream_id = min(self._last_stream_id, self._h2.highest_inbound_stream_id)
            self._closing = True
            self._sender.send_goaway(self._last_stream_id)
            self._flush()

    # Sent by the client

    def _receive_frame(self, frame: Frame) -> None:
        if frame.cost and not self._token_bucket.take(frame.cost, self._loop.time()):
            self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            raise ProtocolError
        if frame.kind == GOAWAY:
            self._closing = True  # not passed to h2, which would close while the client waits for open responses
            return
        for event in self._h2.receive_data(frame.octets):
            self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                self._take_body(event)
            case StreamEnded(stream_id=number) if number in self._exchanges:
                self._exchanges[number].body_ended()
            case StreamReset():
                self._forget(event.stream_id)
            case WindowUpdated():
                self._open_window(event.stream_id)
            case RemoteSettingsChanged():
                _shrink_table(self._h2.encoder)
                self._open_window(0)

    def _begin(self, event: RequestReceived) -> None:
        stream_id = event.stream_id
        # Requests of reset streams may still be running, so they are limited, too.
        if stream_id > self._last_stream_id or len(self._running) >= 2 * MAX_STREAMS:
            self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._stop_timer()
        body_complete = event.stream_ended is not None
        app = self._app
        try:
            scope = RequestHead(event.headers, has_body=not body_complete).scope(self._server, self._client)
        except HeadError as error:
            app = PlainTextResponse(f"{error}", 400)
            scope = {
                "type": "http",
                "method": dict(event.headers).get(b":method", b"").decode("latin-1"),
                "headers": [],
            }
        exchange = self._exchanges[stream_id] = Exchange(self._sender, stream_id, scope, body_complete=body_complete)
        task = self._loop.create_task(exchange.run(app))
        for tasks in (self._running, self._state.tasks):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def _take_body(self, event: DataReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:  # already forgotten, but the sender's window must not stay closed
            self._sender.acknowledge_unread(event.stream_id, event.flow_controlled_length)
        else:
            exchange.body_received(event.data, event.flow_controlled_length)

    def _open_window(self, stream_id: int) -> None:
        """Wake the exchange whose window has grown; stream 0 stands for the connection, so all of them."""
        if stream_id in self._exchanges:
            self._exchanges[stream_id].window_open.set()
        for exchange in () if stream_id else self._exchanges.values():
            exchange.window_open.set()

    # The end of streams and of the connection

    def _finished(self, stream_id: int) -> None:
        """Forget a stream whose response is complete or was cut off."""
        self._state.total_requests += 1
        self._forget(stream_id)
        self._flush()

    def _forget(self, stream_id: int) -> None:
        """Remove a stream whose response is complete, or that was reset."""
        exchange = self._exchanges.pop(stream_id, None)
        if exchange is None:
            return
        exchange.disconnect()
        self._sender.acknowledge_unread(stream_id, exchange.take_unacknowledged())
        self._start_idle_timer()

    def _start_idle_timer(self) -> None:
        """Start the keep-alive timer if there is no open request."""
        if not self._exchanges and not self._transport.is_closing():
            self._stop_timer()
            self._timer = self._loop.call_later(self._keep_alive, self._close_idle)

    def _close_idle(self) -> None:
        """Close an idle connection; requests that are in flight to us are still answered."""
        # Two GOAWAYs, as RFC 9113 recommends: the first allows any stream, the second names the last one accepted.
        self._sender.send_goaway(self._last_stream_id)
        self._loop.call_later(_GRACE_S, self.shutdown)

    def _close_with_error(self) -> None:
        """Send the GOAWAY that h2 has queued for a protocol error, and close."""
        self._flush()
        self._transport.close()
        self._loop.call_later(_LAST_SECONDS, self._transport.abort)
        self._disconnect_all()

    def _disconnect_all(self) -> None:
        self._stop_timer()
        self._sender.resume()
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            exchange.disconnect()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        self._sender.flush()
        if self._closing and not self._exchanges:
            self._transport.close()


def _shrink_table(encoder: Encoder) -> None:
    """Keep the HPACK table for responses small, however much the client allows."""
    if encoder.header_table_size > _TABLE_BYTES:
        encoder.header_table_size = _TABLE_BYTES
    changes = encoder.table_size_changes  # sent with the next response; the smallest and the last are enough
    changes[:] = [min(changes), changes[-1]] if len(changes) > 2 else changes


def _connection() -> H2Connection:
    made = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    made.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
            SettingCodes.MAX_HEADER_LIST_SIZE: H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_FRAME_SIZE: _FRAME_BYTES,
            SettingCodes.ENABLE_PUSH: 0,
        },
    )
    return made
