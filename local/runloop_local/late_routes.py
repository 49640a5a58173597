"""What answers requests: the routes, terminals and tunnels, whose modules are imported once the service listens.

Requests wait for them, the event loop does not.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.routing import Router

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .engine.engine import Engine
    from .proxy.connection import TunnelConnection
    from .proxy.key_filter import KeyFilter


class LateRouter(Router):
    """Routes requests to the API, to the terminals at the hosts of their tunnels, and through other tunnels."""

    def __init__(self, engine: Engine, errors: dict[type[Exception], Any]) -> None:
        super().__init__()
        self._engine = engine
        self._errors = errors
        self._importing = asyncio.Lock()
        self._table: Any = None
        self._terminals: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the API."""
        await self.load()
        await super().__call__(scope, receive, send)

    async def terminals(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to a terminal."""
        await self.load()
        await self._terminals(scope, receive, send)

    async def forward(
        self, scope: Scope, receive: Receive, send: Send, connection: TunnelConnection, key_filter: KeyFilter
    ) -> None:
        """Forward a request through a tunnel, as `proxy.http.forward`."""
        await self.load()
        await self._table.forward(scope, receive, send, connection, key_filter)

    async def load(self) -> None:
        """Import the modules, if they are not.

        Raises OSError or RuntimeError where descriptors or threads are short. The next request tries again.
        """
        if self._table is not None:
            return
        async with self._importing:
            if self._table is None:
                table = await asyncio.to_thread(import_module, f"{__package__}.routes.table")
                self._terminals = table.build_terminals(self._engine, self._errors)
                self.routes.extend(table.all_routes())
                self._table = table
