"""`/v1/gateway-configs` and `/v1/mcp-configs`: stored, but not used by the embedded service."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn
from urllib.parse import urlsplit

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..engine.errors import NotServedError
from .body import Body, read_body
from .config_collection import CollectionRoutes, Name, NamedBody
from .wire import attempt_of, engine_of, json_response, path_id

MAX_HEADERS = 8


_Endpoint = Annotated[str, Meta(max_length=2048)]


class AuthMechanism(Body, frozen=True):
    """The way in which a secret is added to requests."""

    type: Literal["header", "bearer"]
    key: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a header without a name."""
        if self.type == "header" and not self.key:
            raise ValueError("a header mechanism needs key, the header's name")


class CustomHeader(Body, frozen=True):
    """A header that is added."""

    name: str
    secret: str | None = None
    value: str | None = None


_Headers = Annotated[list[CustomHeader], Meta(max_length=MAX_HEADERS)]


class Update(NamedBody, frozen=True):
    """POST /v1/gateway-configs/{id} and /v1/mcp-configs/{id}."""

    endpoint: _Endpoint | None = None
    auth_mechanism: AuthMechanism | None = None
    custom_headers: _Headers | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for an endpoint that cannot be one."""
        if self.endpoint is None:
            return
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("endpoint must be an http or https URL")


class McpUpdate(Update, frozen=True):
    """POST /v1/mcp-configs/{id}."""

    allowed_tools: list[str] | None = None


class GatewayCreate(Update, frozen=True, kw_only=True):
    """POST /v1/gateway-configs."""

    name: Name
    endpoint: _Endpoint
    auth_mechanism: AuthMechanism


class McpCreate(McpUpdate, frozen=True, kw_only=True):
    """POST /v1/mcp-configs."""

    name: Name
    endpoint: _Endpoint
    auth_mechanism: AuthMechanism = AuthMechanism(type="bearer")
    allowed_tools: list[str]


async def create_gateway(request: Request) -> Response:
    """POST /v1/gateway-configs."""
    body = await read_body(request, GatewayCreate)
    return json_response(await engine_of(request).gateway_configs.create(body.complete(), attempt_of(request)))


async def update_gateway(request: Request) -> Response:
    """POST /v1/gateway-configs/{id}."""
    body = await read_body(request, Update)
    changes = body.given()
    update = engine_of(request).gateway_configs.update
    return json_response(await update(path_id(request), lambda _: changes, attempt_of(request)))


async def create_mcp(request: Request) -> Response:
    """POST /v1/mcp-configs."""
    body = await read_body(request, McpCreate)
    return json_response(await engine_of(request).mcp_configs.create(body.complete(), attempt_of(request)))


async def update_mcp(request: Request) -> Response:
    """POST /v1/mcp-configs/{id}."""
    body = await read_body(request, McpUpdate)
    changes = body.given()
    update = engine_of(request).mcp_configs.update
    return json_response(await update(path_id(request), lambda _: changes, attempt_of(request)))


async def create_gateway_token(request: Request) -> NoReturn:
    """POST /v1/devboxes/{id}/create_gateway_token."""
    raise _cloud_only("devboxes.create_gateway_token", "a gateway")


async def create_mcp_token(request: Request) -> NoReturn:
    """POST /v1/devboxes/{id}/create_mcp_token."""
    raise _cloud_only("devboxes.create_mcp_token", "an MCP hub")


def _cloud_only(operation: str, what: str) -> NotServedError:
    return NotServedError(
        f"The embedded service does not have {operation}: it would be a token for {what} in the cloud."
    )


ROUTES = [
    Route("/v1/gateway-configs", create_gateway, methods=["POST"]),
    Route("/v1/gateway-configs/{id}", update_gateway, methods=["POST"]),
    *CollectionRoutes("gateway_config", "gateway_configs", lambda engine: engine.gateway_configs).routes(
        "/v1/gateway-configs"
    ),
    Route("/v1/mcp-configs", create_mcp, methods=["POST"]),
    Route("/v1/mcp-configs/{id}", update_mcp, methods=["POST"]),
    *CollectionRoutes("mcp_config", "mcp_configs", lambda engine: engine.mcp_configs).routes("/v1/mcp-configs"),
    Route("/v1/devboxes/{id}/create_gateway_token", create_gateway_token, methods=["POST"]),
    Route("/v1/devboxes/{id}/create_mcp_token", create_mcp_token, methods=["POST"]),
]
