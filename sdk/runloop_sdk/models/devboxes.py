"""Devboxes, and the ways into them. All times are milliseconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


_IN_WORDS = {
    "out_of_memory": "it needed more memory than it has",
    "out_of_disk": "it needed more disk than it has",
    "execution_failed": "a command that it needs failed",
    "health_check_failed": "its health check failed",
    "api_shutdown": "somebody asked for it",
    "keep_alive_timeout": "its keep-alive time is over",
    "entrypoint_exit": "its entrypoint ended",
    "idle": "nobody used it",
    "ttl_expired": "its time to live is over",
}
_LONGEST = 500  # characters: what git or a Dockerfile says may be long


def reason_of(devbox: Mapping[str, Any]) -> str:
    """Why a devbox failed, ended or was suspended, on one line without a full stop; empty where nobody said why.

    `devbox` is one as the API sends it; nothing in it is trusted to be what it should. Its `failure_reason` and
    `shutdown_reason` are words of the API's. The sentence, where there is one, stands in its `state_transitions`.
    """
    code = _line(devbox.get("failure_reason")) or _line(devbox.get("shutdown_reason"))
    told = _told(devbox.get("state_transitions"), ended=bool(code))
    if told in ("", code):
        told = _IN_WORDS.get(code, "")
    return f"{told} ({code})" if told and code else told or code


def _told(transitions: object, *, ended: bool) -> str:
    """What the last state came with. A devbox that failed is shut down later: that is told of an earlier one."""
    steps = [step for step in transitions if isinstance(step, Mapping)] if isinstance(transitions, Sequence) else []
    reasons = [_line(step.get("failure_reason")) for step in steps if not ended or step.get("status") == "failure"]
    return reasons[-1] if reasons else ""


def _line(text: object) -> str:
    """It comes from programs in devboxes: one line that moves no cursor."""
    if not isinstance(text, str):
        return ""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f"{line[:_LONGEST]}…" if len(line) > _LONGEST else line.rstrip(".")


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

    @property
    def reason(self) -> str:
        """Why it failed, ended or was suspended, on one line; empty where nobody said why."""
        return reason_of(self.model_dump(include={"failure_reason", "shutdown_reason", "state_transitions"}))


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
