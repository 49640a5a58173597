"""`/local/status`: what the embedded service is, which the cloud's API has no place for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.routing import Route

from .. import __version__
from .wire import answer, engine_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def status(request: Request) -> Response:
    """GET /local/status."""
    engine = engine_of(request)
    return answer(
        {
            "version": __version__,
            "pid": os.getpid(),
            "isolation": engine.isolation.name,
            "limits": dict(engine.isolation.limits),
            "notes": list(engine.notes),
            "devboxes": engine.devboxes.counts(),
        }
    )


ROUTES = [Route("/local/status", status, methods=["GET"])]
