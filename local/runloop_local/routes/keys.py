"""`/v1/apikeys` and `/v1/restricted_keys`: additional API keys of this service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta
from starlette.routing import Route

from ..engine.errors import InvalidError
from ..engine.ids import now_ms
from ..engine.storage.keys import Key, Level, Resource
from .body import Body, Int64, read_body
from .wire import attempt_of, engine_of, json_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response


class Scope(Body, frozen=True):
    """The access level to one kind of resource."""

    resource_type: Resource
    access_level: Level


class Create(Body, frozen=True):
    """POST /v1/apikeys."""

    name: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    expires_at_ms: Int64 | None = None


class Restricted(Create, frozen=True):
    """POST /v1/restricted_keys."""

    scopes: list[Scope] | None = None


async def create(request: Request) -> Response:
    """POST /v1/apikeys: a key with full access."""
    body = await read_body(request, Create)
    return await _create_key(request, body, None)


async def create_restricted(request: Request) -> Response:
    """POST /v1/restricted_keys: a key with the access that `scopes` lists; none by default."""
    body = await read_body(request, Restricted)
    return await _create_key(request, body, {scope.resource_type: scope.access_level for scope in body.scopes or ()})


async def _create_key(request: Request, body: Create, scopes: Mapping[Resource, Level] | None) -> Response:
    if body.expires_at_ms is not None and body.expires_at_ms <= now_ms():
        raise InvalidError("expires_at_ms lies in the past.")
    by: Key = request.scope["key"]
    key, secret = await engine_of(request).keys.create(by, body.name, body.expires_at_ms, scopes, attempt_of(request))
    view: dict[str, Any] = {"id": key.id, "name": key.name, "expires_at_ms": key.expires_at_ms, "key_secret": secret}
    if key.scopes is not None:
        view["scopes"] = [{"resource_type": kind, "access_level": level} for kind, level in key.scopes.items()]
    return json_response(view)


ROUTES = [
    Route("/v1/apikeys", create, methods=["POST"]),
    Route("/v1/restricted_keys", create_restricted, methods=["POST"]),
]
