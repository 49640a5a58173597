"""`/v1/devboxes/evictions/watch`: a stream on which nothing ever happens, as nobody evicts devboxes here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse
from starlette.routing import Route

from .output import HEADERS, HEARTBEAT_S, PING
from .wire import engine_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.farewell import Farewell


async def watch(request: Request) -> Response:
    """GET /v1/devboxes/evictions/watch."""
    return StreamingResponse(_silence(engine_of(request).farewell), 200, HEADERS, "text/event-stream")


async def _silence(farewell: Farewell) -> AsyncIterator[bytes]:
    yield PING
    while not await farewell.wait(HEARTBEAT_S):
        yield PING


ROUTES = [Route("/v1/devboxes/evictions/watch", watch, methods=["GET"])]
