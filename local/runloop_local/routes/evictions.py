"""`/v1/devboxes/evictions/watch`: a stream without events, as devboxes are never evicted here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from .event_stream import PING, event_stream
from .wire import engine_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.shutdown_signal import ShutdownSignal


async def watch(request: Request) -> Response:
    """GET /v1/devboxes/evictions/watch."""
    return event_stream(request, _empty_stream(engine_of(request).shutdown_signal))


async def _empty_stream(shutdown_signal: ShutdownSignal) -> AsyncIterator[bytes]:
    yield PING
    await shutdown_signal.wait()


ROUTES = [Route("/v1/devboxes/evictions/watch", watch, methods=["GET"])]
