"""Snapshots: `/v1/devboxes/{id}/snapshot_disk...` and `/v1/devboxes/disk_snapshots`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta
from starlette.routing import Route

from ..engine.errors import DiskFullError
from ..engine.storage.snapshots import SnapshotRequest, snapshot_view, status_view
from ..engine.storage.store import Query
from ..sandbox import SandboxError
from .body import Body, read_body
from .wire import attempt_of, engine_of, flag, integer, json_response, page_response, path_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.storage.snapshots import SnapshotRecord

MAX_MESSAGE = 1000
_LIST_LIMIT = 5000
_METADATA = re.compile(r"metadata\[(.+?)\](\[in\])?")


class SnapshotBody(Body, frozen=True):
    """The name, message and metadata of a snapshot, for creation and updates."""

    name: str | None = None
    commit_message: Annotated[str, Meta(max_length=MAX_MESSAGE)] | None = None
    metadata: dict[str, str] | None = None

    def snapshot_request(self) -> SnapshotRequest:
        """The engine's form of the request."""
        return SnapshotRequest(self.name, self.commit_message, self.metadata or {})


async def snapshot_disk(request: Request) -> Response:
    """POST /v1/devboxes/{id}/snapshot_disk: answers when the disk is saved."""
    begun = await _take_snapshot(request)
    record = await engine_of(request).snapshots.finished(begun.id)
    if record.status == "error":
        raise (DiskFullError if record.out_of_disk else SandboxError)(f"The snapshot failed: {record.error_message}")
    return json_response(snapshot_view(record))


async def snapshot_disk_async(request: Request) -> Response:
    """POST /v1/devboxes/{id}/snapshot_disk_async: answers at once."""
    return json_response(snapshot_view(await _take_snapshot(request)))


async def _take_snapshot(request: Request) -> SnapshotRecord:
    body = await read_body(request, SnapshotBody)
    engine = engine_of(request)
    devbox = await engine.devboxes.get(path_id(request))
    return await engine.snapshots.take(devbox, body.snapshot_request(), attempt_of(request))


async def list_all(request: Request) -> Response:
    """GET /v1/devboxes/disk_snapshots: complete ones and those in progress."""
    blueprint = request.query_params.get("source_blueprint_id")
    query = Query(
        "snapshot",
        limit=integer(request, "limit", 20, _LIST_LIMIT),
        starting_after=request.query_params.get("starting_after") or None,
        search=request.query_params.get("search"),
        count=flag(request, "include_total_count", default=True),
        parent=request.query_params.get("devbox_id") or None,
        fields={"source_blueprint_id": blueprint} if blueprint else {},
        metadata=metadata_filter(request.query_params.multi_items()),
    )
    return page_response("snapshots", await engine_of(request).snapshots.page(query))


def metadata_filter(query: list[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Parse `metadata[k]=v` and `metadata[k][in]=v,w` in a query: the accepted values by key."""
    found: dict[str, frozenset[str]] = {}
    for name, value in query:
        match = _METADATA.fullmatch(name)
        if match is not None:
            choice = value.split(",") if match[2] else [value]
            found[match[1]] = found.get(match[1], frozenset()) | frozenset(choice)
    return found


async def status(request: Request) -> Response:
    """GET /v1/devboxes/disk_snapshots/{id}/status."""
    return json_response(status_view(await engine_of(request).snapshots.get(path_id(request))))


async def update(request: Request) -> Response:
    """POST /v1/devboxes/disk_snapshots/{id}."""
    body = await read_body(request, SnapshotBody)
    changes = body.given()
    return json_response(snapshot_view(await engine_of(request).snapshots.update(path_id(request), changes)))


async def delete(request: Request) -> Response:
    """POST /v1/devboxes/disk_snapshots/{id}/delete."""
    await engine_of(request).snapshots.delete(path_id(request))
    return json_response({})


ROUTES = [
    Route("/v1/devboxes/disk_snapshots", list_all, methods=["GET"]),
    Route("/v1/devboxes/disk_snapshots/{id}/status", status, methods=["GET"]),
    Route("/v1/devboxes/disk_snapshots/{id}/delete", delete, methods=["POST"]),
    Route("/v1/devboxes/disk_snapshots/{id}", update, methods=["POST"]),
    Route("/v1/devboxes/{id}/snapshot_disk", snapshot_disk, methods=["POST"]),
    Route("/v1/devboxes/{id}/snapshot_disk_async", snapshot_disk_async, methods=["POST"]),
]
