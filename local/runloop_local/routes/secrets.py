"""`/v1/secrets`: secrets by name and by id; their values are never returned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from ..engine.storage.secrets import secret_view
from ..engine.storage.store import Query
from .body import Body, read_body
from .wire import attempt_of, engine_of, flag, integer, json_response, page_response, path_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.storage.secrets import SecretRecord

_LIST_LIMIT = 5000


class Update(Body, frozen=True):
    """POST /v1/secrets/{name}."""

    value: str


class Create(Update, frozen=True):
    """POST /v1/secrets."""

    name: str


async def create(request: Request) -> Response:
    """POST /v1/secrets."""
    body = await read_body(request, Create)
    record = await engine_of(request).secrets.create(body.name, body.value, attempt_of(request))
    return json_response(secret_view(record))


async def list_all(request: Request) -> Response:
    """GET /v1/secrets."""
    query = Query(
        "secret",
        limit=integer(request, "limit", 20, _LIST_LIMIT),
        starting_after=request.query_params.get("starting_after") or None,
        search=request.query_params.get("search"),
        count=flag(request, "include_total_count", default=True),
    )
    return page_response("secrets", await engine_of(request).secrets.page(query))


async def retrieve(request: Request) -> Response:
    """GET /v1/secrets/{name} and /v1/secrets/id/{id}."""
    return json_response(secret_view(await _secret(request)))


async def update(request: Request) -> Response:
    """POST /v1/secrets/{name} and /v1/secrets/id/{id}/update."""
    body = await read_body(request, Update)
    record = await engine_of(request).secrets.update(await _secret(request), body.value)
    return json_response(secret_view(record))


async def delete(request: Request) -> Response:
    """POST /v1/secrets/{name}/delete and /v1/secrets/id/{id}/delete: answers the deleted secret, without its value."""
    record = await _secret(request)
    await engine_of(request).secrets.delete(record, attempt_of(request))
    return json_response(secret_view(record))


async def _secret(request: Request) -> SecretRecord:
    secrets = engine_of(request).secrets
    if "name" in request.path_params:
        return await secrets.named(path_id(request, "name"))
    return await secrets.get(path_id(request))


ROUTES = [
    Route("/v1/secrets", create, methods=["POST"]),
    Route("/v1/secrets", list_all, methods=["GET"]),
    Route("/v1/secrets/id/{id}", retrieve, methods=["GET"]),
    Route("/v1/secrets/id/{id}/update", update, methods=["POST"]),
    Route("/v1/secrets/id/{id}/delete", delete, methods=["POST"]),
    Route("/v1/secrets/{name}", retrieve, methods=["GET"]),
    Route("/v1/secrets/{name}", update, methods=["POST"]),
    Route("/v1/secrets/{name}/delete", delete, methods=["POST"]),
]
