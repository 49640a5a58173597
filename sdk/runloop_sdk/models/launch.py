"""Launch parameters of devboxes, which blueprints have as well."""

from __future__ import annotations

from typing import Literal

from ._view import View

IdleAction = Literal["shutdown", "suspend"] | str
Architecture = Literal["x86_64", "arm64"] | str
ProvisioningTier = Literal["standard", "flex"] | str
ResourceSize = Literal["X_SMALL", "SMALL", "MEDIUM", "LARGE", "X_LARGE", "XX_LARGE", "CUSTOM_SIZE"] | str


class AfterIdle(View):
    """The action for a devbox that was not used for `idle_time_seconds`."""

    idle_time_seconds: int
    on_idle: IdleAction


class LifecycleHooks(View):
    """Commands that run before a devbox is suspended, and the milliseconds that they may take."""

    suspend_commands: list[str] | None = None
    suspend_deadline_ms: int | None = None


class ResumeTriggers(View):
    """The events that resume a suspended devbox."""

    axon_event: bool | None = None
    http: bool | None = None


class LifecycleConfiguration(View):
    """The rules for suspending and resuming a devbox."""

    after_idle: AfterIdle | None = None
    lifecycle_hooks: LifecycleHooks | None = None
    resume_triggers: ResumeTriggers | None = None


class UserParameters(View):
    """The Linux user that commands run as."""

    uid: int
    username: str


class LaunchParameters(View):
    """Resources, user and life span of a devbox: sizes in GB, CPU in cores, times in seconds."""

    after_idle: AfterIdle | None = None
    architecture: Architecture | None = None
    available_ports: list[int] | None = None
    custom_cpu_cores: float | None = None
    custom_disk_size: int | None = None
    custom_gb_memory: int | None = None
    keep_alive_time_seconds: int | None = None
    launch_commands: list[str] | None = None
    lifecycle: LifecycleConfiguration | None = None
    network_policy_id: str | None = None
    provisioning_tier: ProvisioningTier | None = None
    required_services: list[str] | None = None
    resource_size_request: ResourceSize | None = None
    user_parameters: UserParameters | None = None
