"""Forwards one HTTP request through a tunnel, streaming both bodies with back-pressure."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import h11

from ..engine.fair_queue import SMALL_PIECE_BYTES
from .connection import TunnelRejected
from .headers import end_to_end, forwarded

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from .connection import TunnelConnection
    from .key_filter import KeyFilter

_HEADERS_BYTES = 256 * 1024


async def forward(
    scope: Scope, receive: Receive, send: Send, connection: TunnelConnection, key_filter: KeyFilter
) -> None:
    """Forward the request and relay the response. Raises `TunnelRejected` if that fails before the response starts."""
    with connection.sock, connection.devbox.processes.flow.request():
        head = _head(scope, key_filter)
        await _ForwardedRequest(head, receive, send, connection).run()


class _ForwardedRequest:
    def __init__(self, head: h11.Request, receive: Receive, send: Send, connection: TunnelConnection) -> None:
        self._head = head
        self._receive = receive
        self._send = send
        self._connection = connection
        self._flow = connection.devbox.processes.flow
        self._peer = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADERS_BYTES)
        self._loop = asyncio.get_running_loop()
        self._started = False
        self._client_left = False

    async def run(self) -> None:
        asking = asyncio.create_task(self._send_request())
        try:
            await self._relay_response()
        except (h11.RemoteProtocolError, OSError) as error:
            # A response that has started can only be cut off: the server closes one that is left incomplete.
            if not self._started:
                raise TunnelRejected(502, f"The devbox's server gave no HTTP answer: {error}.") from error
        finally:
            asking.cancel()
            await asyncio.wait({asking})

    async def _send_request(self) -> None:
        """Send the request, then wait for the client to disconnect."""
        try:
            await self._write(self._head)
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    break
                await self._write(h11.Data(data=message.get("body", b"")))
                if not message.get("more_body"):
                    await self._write(h11.EndOfMessage())
                    await self._wait_for_disconnect()
                    break
            self._client_left = True
            self._connection.sock.shutdown(socket.SHUT_RDWR)  # wakes up the reader of the response
        except (OSError, h11.LocalProtocolError):
            return  # the reader of the response finds out by itself

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        data = self._peer.send(event)
        if data:
            await self._loop.sock_sendall(self._connection.sock, data)
            self._connection.touch()

    async def _relay_response(self) -> None:
        while not self._client_left:  # a server that always has data would be read for ever
            event = self._peer.next_event()
            if event is h11.NEED_DATA:
                data = await self._loop.sock_recv(self._connection.sock, SMALL_PIECE_BYTES)
                await self._flow.turn()
                self._flow.moved(len(data))
                self._peer.receive_data(data)
                self._connection.touch()
            elif isinstance(event, h11.Response):
                self._started = True
                headers = end_to_end(event.headers)
                await self._send({"type": "http.response.start", "status": event.status_code, "headers": headers})
            elif isinstance(event, h11.Data):
                await self._send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                await self._send({"type": "http.response.body", "body": b""})
                return


def _head(scope: Scope, key_filter: KeyFilter) -> h11.Request:
    sent = key_filter.strip_headers(end_to_end(scope["headers"]))
    # One request per connection, so that nothing can follow its response.
    headers = [*forwarded(sent, scope["client"][0]), (b"connection", b"close")]
    if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        headers.append((b"transfer-encoding", b"chunked"))
    query = scope["query_string"]
    target = key_filter.strip_target(scope["raw_path"] + (b"?" + query if query else b""))
    return h11.Request(method=scope["method"], target=target, headers=headers)
