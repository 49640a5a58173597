"""`/v1/devboxes/{id}/logs`: the commands of a devbox and their output."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import Route

from ..engine.views import log_views
from .wire import engine_of, json_response, path_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

EXECUTIONS = 200
LINES = 100
MAX_STREAM_BYTES, MIN_STREAM_BYTES, TOTAL_BYTES = 1 << 20, 32 << 10, 4 << 20
"""Limits of each stream of a command, and of the response, as lines can be of any length. The newest get most of it."""


async def list_logs(request: Request) -> Response:
    """GET /v1/devboxes/{id}/logs."""
    execution_id = request.query_params.get("execution_id")
    shell = request.query_params.get("shell_name")
    found = await engine_of(request).executions.newest(
        path_id(request),
        -1 if execution_id or shell else EXECUTIONS,
        lambda record: execution_id in (None, "", record.id) and shell in (None, "", record.shell),
    )
    parts, left = [], TOTAL_BYTES
    for record, log in reversed(found):
        part = log_views(record, log, LINES, max(MIN_STREAM_BYTES, min(left, MAX_STREAM_BYTES)))
        left -= sum(len(entry.get("message", "")) for entry in part)
        parts.append(part)
        await asyncio.sleep(0)  # there may be many: let other requests run
    logs = [entry for part in reversed(parts) for entry in part]
    return json_response({"logs": sorted(logs, key=lambda entry: int(entry["timestamp_ms"]))})


ROUTES = [Route("/v1/devboxes/{id}/logs", list_logs, methods=["GET"])]
