"""Launch parameters of devboxes, which blueprints have as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Required, TypedDict


class AfterIdle(TypedDict):
    """The action for a devbox that was not used for `idle_time_seconds`."""

    idle_time_seconds: int
    on_idle: Literal["shutdown", "suspend"]


class LifecycleHooks(TypedDict, total=False):
    """Commands to run before a suspend."""

    suspend_commands: Sequence[str] | None
    suspend_deadline_ms: int | None
    """Milliseconds that all of them together may take."""


class ResumeTriggers(TypedDict, total=False):
    """The events that resume a suspended devbox."""

    axon_event: bool | None
    http: bool | None
    """A request through its tunnel."""


class LifecycleConfiguration(TypedDict, total=False):
    """The rules for suspending and resuming a devbox."""

    after_idle: AfterIdle | None
    lifecycle_hooks: LifecycleHooks | None
    resume_triggers: ResumeTriggers | None


class UserParameters(TypedDict):
    """The Linux user that commands run as."""

    uid: int
    username: str


class LaunchParameters(TypedDict, total=False):
    """The resources, user and lifetime of a devbox."""

    after_idle: AfterIdle | None
    """Replaces `keep_alive_time_seconds`."""
    architecture: Literal["x86_64", "arm64"] | None
    available_ports: Sequence[int] | None
    custom_cpu_cores: float | None
    """For `CUSTOM_SIZE`: cores."""
    custom_disk_size: int | None
    """For `CUSTOM_SIZE`: GB."""
    custom_gb_memory: int | None
    """For `CUSTOM_SIZE`: GB."""
    keep_alive_time_seconds: int | None
    """1 hour by default, at most 48."""
    launch_commands: Sequence[str] | None
    """Run at start and again at each resume, before the devbox counts as running."""
    lifecycle: LifecycleConfiguration | None
    network_policy_id: str | None
    provisioning_tier: Literal["standard", "flex"] | None
    required_services: Sequence[str] | None
    resource_size_request: Literal["X_SMALL", "SMALL", "MEDIUM", "LARGE", "X_LARGE", "XX_LARGE", "CUSTOM_SIZE"] | None
    user_parameters: UserParameters | None


class CodeMountParameters(TypedDict, total=False):
    """A git repository to check out."""

    repo_name: Required[str]
    repo_owner: Required[str]
    token: str | None
    """For private repositories."""
    git_ref: str | None
    """A branch or tag; the default branch otherwise."""
    install_command: str | None
    """Run after the check-out."""
