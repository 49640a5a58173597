"""The middleware that handles requests to the host names of tunnels, in front of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from .connection import AUTHORIZATION, TunnelRejected, open_connection
from .hosts import Target, target_of
from .http import forward

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ..activity import Activity
    from ..engine.tunnel.tunnels import Tunnels
    from .key_filter import KeyFilter


class TunnelMiddleware:
    """Forwards requests for a devbox's port; the rest goes to the API, which refuses host names of tunnels."""

    def __init__(
        self, app: ASGIApp, tunnels: Tunnels, key_filter: KeyFilter, terminals: ASGIApp, activity: Activity
    ) -> None:
        self._app = app
        self._tunnels = tunnels
        self._key_filter = key_filter
        self._terminals = terminals
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        target = target_of(scope)
        if target is None:
            await self._app(scope, receive, send)
            return
        with self._activity.request():
            if self._tunnels.find_pty(target.key) is not None:
                await self._terminals(scope, receive, send)
            else:
                await self._forward(target, scope, receive, send)

    async def _forward(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            connection = await open_connection(self._tunnels, target, Headers(scope=scope).get(AUTHORIZATION))
            await forward(scope, receive, send, connection, self._key_filter)
        except TunnelRejected as refusal:
            await PlainTextResponse(f"{refusal}\n", refusal.status)(scope, receive, send)
