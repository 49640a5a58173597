"""`/v1/network-policies`."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from msgspec import Meta, structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..engine.errors import NotServedError
from .body import Body, read_body
from .config_collection import CollectionRoutes, NamedBody
from .wire import attempt_of, engine_of, json_response, path_id

_Port = Annotated[int, Meta(ge=1, le=65535)]
_Host = Annotated[str, Meta(max_length=253, pattern=r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?\Z")]


class PortRule(Body, frozen=True):
    """A port, or the range from `port` to `end_port`."""

    port: _Port
    end_port: _Port | None = None
    protocol: Literal["TCP", "UDP"] | None = None


class AllowedCidr(Body, frozen=True):
    """A network that may be reached."""

    cidr: str
    ports: list[PortRule] | None = None

    def __post_init__(self) -> None:
        """Write the network as the API does; raises ValueError for what is none."""
        structs.force_setattr(self, "cidr", str(ipaddress.IPv4Network(self.cidr)))


class Update(NamedBody, frozen=True):
    """POST /v1/network-policies/{id}."""

    allow_all: bool | None = None
    allow_agent_gateway: bool | None = None
    allow_devbox_to_devbox: bool | None = None
    allow_mcp_gateway: bool | None = None
    allow_runloop_mirrors: bool | None = None
    allowed_cidrs: list[AllowedCidr] | None = None
    allowed_hostnames: list[_Host] | None = None

    def egress(self, before: dict[str, Any]) -> dict[str, Any]:
        """The egress rules: the earlier ones, updated with the given ones; raises `NotServedError`."""
        given = {name: value for name, value in self.given().items() if name in _NOTHING}
        merged = {**before, **given}
        if self.allow_devbox_to_devbox and not merged["allow_all"]:
            raise NotServedError(
                "allow_devbox_to_devbox: devboxes of the embedded service do not reach each other. Leave it out, and "
                "open a tunnel to the devbox that serves."
            )
        implied = ("allow_devbox_to_devbox", "allow_runloop_mirrors") if merged["allow_all"] else ()
        return {**merged, **dict.fromkeys(implied, True)}


class Create(Update, frozen=True, kw_only=True):
    """POST /v1/network-policies."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]


_NOTHING: dict[str, Any] = {
    "allow_all": False,
    "allow_agent_gateway": False,
    "allow_devbox_to_devbox": False,
    "allow_mcp_gateway": False,
    "allow_runloop_mirrors": False,
    "allowed_cidrs": [],
    "allowed_hostnames": [],
}
_ENTRIES = CollectionRoutes("network_policy", "network_policies", lambda engine: engine.network_policies)


async def create(request: Request) -> Response:
    """POST /v1/network-policies."""
    body = await read_body(request, Create)
    fields = {"name": body.name, "description": body.description, "egress": body.egress(_NOTHING)}
    return json_response(await engine_of(request).network_policies.create(fields, attempt_of(request)))


async def update(request: Request) -> Response:
    """POST /v1/network-policies/{id}: applies to devboxes that start from then on."""
    body = await read_body(request, Update)
    policies = engine_of(request).network_policies
    return json_response(
        await policies.update(
            path_id(request),
            lambda policy: {**body.names(), "egress": body.egress(policy["egress"])},
            attempt_of(request),
        )
    )


ROUTES = [
    Route("/v1/network-policies", create, methods=["POST"]),
    Route("/v1/network-policies/{id}", update, methods=["POST"]),
    *_ENTRIES.routes("/v1/network-policies"),
]
