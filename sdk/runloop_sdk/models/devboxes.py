"""Devboxes. All times are in milliseconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from ._view import View
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


_DESCRIPTIONS = {
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
_LONGEST = 500  # characters: messages of git or a Dockerfile may be long


def reason_of(devbox: Mapping[str, Any]) -> str:
    """The reason why a devbox failed, ended or was suspended: one line without a full stop; empty if unknown.

    `devbox` is the JSON of the API, of which no field is trusted to be valid. Its `failure_reason` and
    `shutdown_reason` are codes of the API; a sentence, if there is one, is in its `state_transitions`.
    """
    code = _one_line(devbox.get("failure_reason")) or _one_line(devbox.get("shutdown_reason"))
    reason = _transition_reason(devbox.get("state_transitions"), ended=bool(code))
    if reason in ("", code):
        reason = _DESCRIPTIONS.get(code, "")
    return f"{reason} ({code})" if reason and code else reason or code


def _transition_reason(transitions: object, *, ended: bool) -> str:
    """The sentence with the last state; once `ended`, that of the failure, as a failed devbox is shut down later."""
    steps = [step for step in transitions if isinstance(step, Mapping)] if isinstance(transitions, Sequence) else []
    reasons = [_one_line(step.get("failure_reason")) for step in steps if not ended or step.get("status") == "failure"]
    return reasons[-1] if reasons else ""


def _one_line(text: object) -> str:
    """The text as one line without control characters; it may come from programs in devboxes."""
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
        """The reason why it failed, ended or was suspended: one line; empty if unknown."""
        return reason_of(self.model_dump(include={"failure_reason", "shutdown_reason", "state_transitions"}))
