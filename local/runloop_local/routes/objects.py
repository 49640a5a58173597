"""`/v1/objects`: storage objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

from msgspec import Meta
from starlette.routing import Route

from ..engine.errors import InvalidError
from ..engine.storage.objects import UPLOAD_SECONDS, ContentType, ObjectRequest, State, object_view
from ..engine.storage.store import Page, Query
from .body import Body, read_body
from .wire import attempt_of, engine_of, flag, integer, json_response, page_response, path_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.storage.objects import ObjectRecord
    from ..engine.storage.signatures import Method

MAX_NAME = 1024
MAX_TTL_MS = 10 * 365 * 24 * 3600 * 1000
MAX_DURATION_S = 7 * 24 * 3600
STORAGE = "/storage"
"""The path prefix of signed URLs for the bytes of objects."""
_LIST_LIMIT = 5000
_UPLOAD_HEADERS = {"content-type": "application/octet-stream"}


class Create(Body, frozen=True):
    """POST /v1/objects."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    content_type: ContentType
    metadata: dict[str, str] | None = None
    ttl_ms: Annotated[int, Meta(gt=0, le=MAX_TTL_MS)] | None = None


async def create(request: Request) -> Response:
    """POST /v1/objects: answers the URL to upload the bytes to."""
    body = await read_body(request, Create)
    object_request = ObjectRequest(body.name, body.content_type, body.metadata or {}, body.ttl_ms)
    record = await engine_of(request).objects.create(object_request, attempt_of(request))
    address = _address(request, "PUT", record.id, UPLOAD_SECONDS)
    return json_response({**object_view(record), "upload_url": address, "upload_headers": _UPLOAD_HEADERS})


async def list_all(request: Request) -> Response:
    """GET /v1/objects: includes deleted ones if `state` asks for them."""
    return page_response("objects", await engine_of(request).objects.page(_query(request)))


async def list_public(request: Request) -> Response:
    """GET /v1/objects/list_public: always empty, as this machine has none."""
    counted = _query(request).count
    return page_response("objects", Page((), has_more=False, total_count=0 if counted else None))


def _query(request: Request) -> Query:
    kind = _choice(request, "content_type", get_args(ContentType))
    state = _choice(request, "state", get_args(State))
    return Query(
        "object",
        limit=integer(request, "limit", 20, _LIST_LIMIT),
        starting_after=request.query_params.get("starting_after") or None,
        status=state,
        search=request.query_params.get("search"),
        count=flag(request, "include_total_count", default=True),
        name_part=request.query_params.get("name") or None,
        fields={} if kind is None else {"content_type": kind},
    )


def _choice(request: Request, name: str, known: tuple[str, ...]) -> str | None:
    given = request.query_params.get(name) or None
    if given is not None and given not in known:
        raise InvalidError(f"{name} must be one of {', '.join(known)}, not {given!r}.")
    return given


async def retrieve(request: Request) -> Response:
    """GET /v1/objects/{id}."""
    return _view(await engine_of(request).objects.get(path_id(request)))


async def complete(request: Request) -> Response:
    """POST /v1/objects/{id}/complete."""
    return _view(await engine_of(request).objects.complete(path_id(request), attempt_of(request)))


async def delete(request: Request) -> Response:
    """POST /v1/objects/{id}/delete."""
    return _view(await engine_of(request).objects.delete(path_id(request)))


async def download(request: Request) -> Response:
    """GET /v1/objects/{id}/download."""
    seconds = integer(request, "duration_seconds", UPLOAD_SECONDS, MAX_DURATION_S)
    content = await engine_of(request).objects.content(path_id(request))
    return json_response({"download_url": _address(request, "GET", content.record.id, max(1, seconds))})


def _address(request: Request, method: Method, object_id: str, seconds: int) -> str:
    """A signed URL at the host that the client has used, which was checked to be the service's."""
    query = engine_of(request).objects.signed_query(method, object_id, seconds)
    return f"{request.url.scheme}://{request.headers['host']}{STORAGE}/{object_id}?{query}"


def _view(record: ObjectRecord) -> Response:
    view: dict[str, Any] = object_view(record)
    return json_response(view)


ROUTES = [
    Route("/v1/objects", create, methods=["POST"]),
    Route("/v1/objects", list_all, methods=["GET"]),
    Route("/v1/objects/list_public", list_public, methods=["GET"]),
    Route("/v1/objects/{id}", retrieve, methods=["GET"]),
    Route("/v1/objects/{id}/complete", complete, methods=["POST"]),
    Route("/v1/objects/{id}/delete", delete, methods=["POST"]),
    Route("/v1/objects/{id}/download", download, methods=["GET"]),
]
