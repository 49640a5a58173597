"""Devboxes, and the ways into them. All times are milliseconds since 1970, UTC."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ._view import View
from .auth import AuthMechanism
from .launch import LaunchParameters

DevboxStatus = (
    Literal[
        "scheduled",
        "queued",
        "provisioning",
        "initializing",
        "running",
        "suspending",
        "suspended",
        "resuming",
        "failure",
        "shutdown",
    ]
    | str
)
FailureReason = Literal["out_of_memory", "out_of_disk", "execution_failed", "health_check_failed"] | str
ShutdownReason = Literal["api_shutdown", "keep_alive_timeout", "entrypoint_exit", "idle", "ttl_expired"] | str
DevboxCapability = Literal["unknown", "docker_in_docker"] | str
InitiatorType = Literal["unknown", "api", "reflex"] | str
TunnelAuthMode = Literal["open", "authenticated"] | str


class StateTransition(View):
    """A state that a devbox entered, and when."""

    failure_reason: str | None = None
    status: DevboxStatus | None = None
    transition_time_ms: Any = None


class GatewaySpecs(View):
    """A gateway that the devbox may use, and the secret it uses there."""

    gateway_config_id: str
    secret_id: str


class McpSpecs(View):
    """An MCP server that the devbox may use, and the secret it uses there."""

    mcp_config_id: str
    secret_id: str


class TunnelView(View):
    """A devbox's way in from the internet; `auth_token` is there for authenticated tunnels only."""

    auth_mode: TunnelAuthMode
    create_time_ms: int
    http_keep_alive: bool
    tunnel_key: str
    wake_on_http: bool
    auth_token: str | None = Field(default=None, repr=False)


class DevboxView(View):
    """A devbox: what it is made of, its state, and the states it was in."""

    id: str
    create_time_ms: int
    status: DevboxStatus
    capabilities: list[DevboxCapability] = []
    launch_parameters: LaunchParameters = Field(default_factory=LaunchParameters)
    metadata: dict[str, str] = {}
    state_transitions: list[StateTransition] = []
    end_time_ms: int | None = None
    blueprint_id: str | None = None
    failure_reason: FailureReason | None = None
    gateway_specs: dict[str, GatewaySpecs] | None = None
    initiator_id: str | None = None
    initiator_type: InitiatorType | None = None
    mcp_specs: dict[str, McpSpecs] | None = None
    name: str | None = None
    shutdown_reason: ShutdownReason | None = None
    snapshot_id: str | None = None
    tunnel: TunnelView | None = None


class DevboxResourceUsageView(View):
    """What a devbox used so far."""

    id: str
    disk_gb_seconds: int
    memory_gb_seconds: int
    start_time_ms: int
    status: str
    total_active_seconds: int
    total_elapsed_seconds: int
    vcpu_seconds: int
    end_time_ms: int | None = None


class DevboxEvictionEventView(View):
    """A devbox whose machine goes away, and when."""

    devbox_id: str
    eviction_deadline_ms: int


class GatewayTokenView(View):
    """A token with which a devbox reaches `endpoint` through the gateway at `url`."""

    token: str = Field(repr=False)
    auth_mechanism: AuthMechanism
    devbox_id: str
    endpoint: str
    gateway_config_id: str
    url: str


class McpTokenView(View):
    """A token with which a devbox reaches an MCP server through the hub at `url`."""

    token: str = Field(repr=False)
    devbox_id: str
    endpoint: str
    mcp_config_id: str
    url: str
    allowed_tools: list[str] = []


class PtyTunnelView(View):
    """The tunnel to a devbox's terminals, and the token for it."""

    auth_token: str = Field(repr=False)
    tunnel_key: str


class DevboxCreateSSHKeyResponse(View):
    """How to log in over SSH; the private key is PEM."""

    id: str
    ssh_private_key: str = Field(repr=False)
    ssh_user: str
    url: str
