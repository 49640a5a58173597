"""`/v1/devboxes/{id}/logs`: what ran in a devbox, and what it said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import Route

from ..engine.views import log_views
from .wire import answer, engine_of, path_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

EXECUTIONS = 200
LINES = 100
MOST_BYTES = 32 * 1024
"""Of each stream of a command: a line may be as long as all that a devbox prints."""


async def list_logs(request: Request) -> Response:
    """GET /v1/devboxes/{id}/logs."""
    execution_id = request.query_params.get("execution_id")
    shell = request.query_params.get("shell_name")
    found = await engine_of(request).devboxes.executions(
        path_id(request),
        -1 if execution_id or shell else EXECUTIONS,
        lambda record: execution_id in (None, "", record.id) and shell in (None, "", record.shell),
    )
    logs = []
    for record, log in found:
        logs += log_views(record, log, LINES, MOST_BYTES)
        await asyncio.sleep(0)  # there may be many, and others have their turn
    return answer({"logs": sorted(logs, key=lambda entry: int(entry["timestamp_ms"]))})


ROUTES = [Route("/v1/devboxes/{id}/logs", list_logs, methods=["GET"])]
