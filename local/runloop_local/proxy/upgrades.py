"""WebSockets through a tunnel: after the head of the request has been forwarded, bytes are relayed unchanged.

Uvicorn passes a connection that asks for a WebSocket to a protocol, with the request's head as its first data.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from .connection import AUTHORIZATION, TunnelConnection, TunnelRejected, open_connection
from .headers import Header, forwarded
from .hosts import Target, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from ..engine.tunnel.tunnels import Tunnels
    from .key_filter import KeyFilter


def upgrade_factory(tunnels: Tunnels, key_filter: KeyFilter) -> Callable[..., asyncio.Protocol]:
    """The factory of protocols that uvicorn uses for WebSocket upgrades."""

    def make(config: Config, server_state: ServerState, app_state: dict[str, Any]) -> asyncio.Protocol:
        return UpgradeProtocol(tunnels, key_filter, config, server_state, app_state)

    return make


class UpgradeProtocol(asyncio.Protocol):
    """A connection that asks for a WebSocket: relayed to a devbox, or passed to the service's own WebSockets."""

    def __init__(
        self,
        tunnels: Tunnels,
        key_filter: KeyFilter,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        self._tunnels = tunnels
        self._key_filter = key_filter
        self._config = config
        self._state = server_state
        self._connections: set[Any] = server_state.connections
        self._app_state = app_state
        self._opening: asyncio.Task[None] | None = None
        self._own: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection from uvicorn."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)  # the server shuts these down when it stops

    def data_received(self, data: bytes) -> None:
        """Route the request by its head, which is the only data before a response."""
        if self._opening is not None:
            self._transport.close()
            return
        request, headers = _parsed(data)
        port = self._transport.get_extra_info("sockname")[1]
        target = parse(_value(headers, b"host"), port)
        if target is None or self._tunnels.find_pty(target.key) is not None:
            self._leave_to_service(data)
        else:
            self._transport.pause_reading()
            self._opening = asyncio.create_task(self._open(target, request, headers))

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what was begun, as the client has gone."""
        self._connections.discard(self)
        if self._opening is not None:
            self._opening.cancel()
        if self._own is not None:  # closed before `set_protocol` took effect
            self._own.connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection, as the service stops."""
        self._transport.close()

    def _leave_to_service(self, data: bytes) -> None:
        # Imported at the first WebSocket, as most services never see one.
        from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

        self._connections.discard(self)
        own = self._own = WebSocketsSansIOProtocol(self._config, self._state, self._app_state)
        own.connection_made(self._transport)
        own.data_received(data)
        # Afterwards, as uvicorn sets this protocol when this method returns.
        asyncio.get_running_loop().call_soon(self._transport.set_protocol, own)

    async def _open(self, target: Target, request: bytes, headers: list[Header]) -> None:
        try:
            method, asked, version = request.split(b" ")
            line = b" ".join((method, self._key_filter.strip_target(asked), version))
            connection = await open_connection(self._tunnels, target, _value(headers, AUTHORIZATION.encode()))
        except TunnelRejected as refusal:
            self._refuse(refusal)
            return
        await self._relay(connection, line, self._key_filter.strip_headers(headers))

    async def _relay(self, connection: TunnelConnection, request: bytes, headers: list[Header]) -> None:
        # Linked before either is connected: data may arrive as soon as it is.
        near, far = RelayProtocol(connection), RelayProtocol(connection)
        near.transport, near.other, far.other = self._transport, far, near
        client = self._transport.get_extra_info("peername")[0]
        lines = [request, *(name + b": " + value for name, value in forwarded(headers, client)), b"\r\n"]
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, sock=connection.sock)
        except BaseException:
            connection.sock.close()
            raise
        far.transport.write(b"\r\n".join(lines))
        self._hand_over(near)

    def _hand_over(self, near: RelayProtocol) -> None:
        self._opening = None
        self._connections.discard(self)
        self._connections.add(near)
        near.connections = self._connections
        self._transport.set_protocol(near)
        self._transport.resume_reading()

    def _refuse(self, refusal: TunnelRejected) -> None:
        body = f"{refusal}\n".encode()
        status = HTTPStatus(refusal.status)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        self._transport.close()


class RelayProtocol(asyncio.Protocol):
    """One of the two connections of a relay; pauses reading while the other cannot write."""

    other: RelayProtocol
    transport: asyncio.Transport
    connections: set[Any] | None = None
    """The connections that the server closes when it stops."""

    def __init__(self, connection: TunnelConnection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Write the data to the other connection."""
        self._connection.touch()
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        """Stop reading from the other connection while this one is full."""
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read from the other connection again."""
        self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other connection, too."""
        if self.connections is not None:
            self.connections.discard(self)
        self.other.transport.close()

    def shutdown(self) -> None:
        """Close the connection, as the service stops."""
        self.transport.close()


def _parsed(head: bytes) -> tuple[bytes, list[Header]]:
    """Parse a head in the form that uvicorn writes: names in lower case, one header per line."""
    request, *lines = head.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    parted = (line.partition(b": ") for line in lines)
    return request, [(name, value) for name, _, value in parted]


def _value(headers: list[Header], name: bytes) -> str:
    return next((value.decode("latin-1") for found, value in headers if found == name), "")
