"""`/v1/devboxes/{id}/logs`: what ran in a devbox, and what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from ..engine.views import log_views
from .wire import answer, engine_of, path_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

EXECUTIONS = 200
LINES = 100


async def list_logs(request: Request) -> Response:
    """GET /v1/devboxes/{id}/logs."""
    execution_id = request.query_params.get("execution_id")
    shell = request.query_params.get("shell_name")
    devboxes = engine_of(request).devboxes
    found = await devboxes.executions(path_id(request), -1 if execution_id or shell else EXECUTIONS)
    logs = [
        entry
        for record, log in found
        if execution_id in (None, "", record.id) and shell in (None, "", record.shell)
        for entry in log_views(record, log, LINES)
    ]
    return answer({"logs": sorted(logs, key=lambda entry: int(entry["timestamp_ms"]))})


ROUTES = [Route("/v1/devboxes/{id}/logs", list_logs, methods=["GET"])]
