"""The API's routes, whose modules are imported once the service listens.

They, and what only they need, are a third of what the service imports. Requests wait for them, the event loop does not.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.routing import Router

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .engine.engine import Engine


class LateRouter(Router):
    """Routes requests to the API, and to the terminals at the hosts of their tunnels."""

    def __init__(self, engine: Engine, errors: dict[type[Exception], Any]) -> None:
        super().__init__()
        self._engine = engine
        self._errors = errors
        self._importing = asyncio.Lock()
        self._terminals: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the API."""
        await self.load()
        await super().__call__(scope, receive, send)

    async def terminals(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to a terminal."""
        terminals = await self.load()
        await terminals(scope, receive, send)

    async def load(self) -> ASGIApp:
        """Import the routes, if they are not; returns the application of the terminals.

        Raises OSError or RuntimeError where descriptors or threads are short. The next request tries again.
        """
        if self._terminals is None:
            async with self._importing:
                if self._terminals is None:
                    table = await asyncio.to_thread(import_module, f"{__package__}.routes.table")
                    self.routes.extend(table.all_routes())
                    self._terminals = table.build_terminals(self._engine, self._errors)
        return self._terminals
