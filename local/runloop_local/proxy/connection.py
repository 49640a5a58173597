"""Authorizes requests to tunnels and connects them to the devbox's port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..engine.errors import EngineError
from ..engine.tunnel.tunnels import wakes
from ..sandbox import SandboxEnded, SandboxError

if TYPE_CHECKING:
    import socket

    from ..engine.devbox.devbox import Devbox
    from ..engine.tunnel.tunnel import Tunnel
    from ..engine.tunnel.tunnels import Tunnels
    from .hosts import Target

AUTHORIZATION = "x-runloop-tunnel-authorization"
_WAKE_SECONDS = 60.0


class TunnelRejected(Exception):  # noqa: N818 -- becomes a response
    """A request is not forwarded; holds the HTTP status and a sentence for the client."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class TunnelConnection(msgspec.Struct, frozen=True):
    """A connection through a tunnel to a port of a devbox."""

    sock: socket.socket
    """Connected and non-blocking; the caller closes it."""
    devbox: Devbox
    tunnel: Tunnel

    def touch(self) -> None:
        """Count transferred data as activity of the devbox, if the tunnel keeps it alive."""
        if self.tunnel.http_keep_alive:
            self.devbox.processes.touch()


def bearer(header: str | None) -> str | None:
    """The bearer token of an authorization header, or None."""
    kind, _, token = (header or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


async def open_connection(tunnels: Tunnels, target: Target, authorization: str | None) -> TunnelConnection:
    """Connect a request with this authorization header to its target; raises `TunnelRejected`."""
    found = tunnels.find(target.key)
    if found is None:
        raise TunnelRejected(
            404, "There is no such tunnel: it was removed, its devbox has ended, or its name is misspelt."
        )
    devbox, tunnel = found
    if not tunnel.admits(bearer(authorization)):
        raise TunnelRejected(401, "This tunnel asks for X-Runloop-Tunnel-Authorization: Bearer and its auth_token.")
    await _require_running(devbox, tunnel)
    connection = TunnelConnection(await _dial(devbox, target.port), devbox, tunnel)
    connection.touch()
    return connection


async def _require_running(devbox: Devbox, tunnel: Tunnel) -> None:
    if devbox.status == "running":
        return
    if not wakes(devbox, tunnel):
        raise TunnelRejected(503, f"Devbox {devbox.record.id} is {devbox.status}; resume it, or set wake_on_http.")
    try:
        awake = await devbox.wake(_WAKE_SECONDS)
    except EngineError as error:
        raise TunnelRejected(503, f"Devbox {devbox.record.id} cannot be resumed: {error}") from error
    if not awake:
        raise TunnelRejected(503, f"Devbox {devbox.record.id} was to be resumed, and is {devbox.status}.")


async def _dial(devbox: Devbox, port: int) -> socket.socket:
    try:
        return await devbox.processes.dial(port)
    except EngineError as error:  # its status has changed since, or the service is stopping
        raise TunnelRejected(503, str(error)) from error
    except SandboxEnded:
        raise TunnelRejected(503, f"Devbox {devbox.record.id} is ending.") from None
    except SandboxError as error:
        raise TunnelRejected(502, f"Nothing answers on port {port} of devbox {devbox.record.id}. {error}") from None
