"""The launch parameters of devboxes, which blueprints have as well: all of the API's are done, or refused by name."""

from __future__ import annotations

import platform
from typing import Annotated, Literal

from msgspec import Meta

from ..engine.devbox.expiry_timer import MAX_KEEP_ALIVE_S
from ..engine.devbox.limits import size_of
from ..engine.errors import InvalidError, NotServedError
from .body import Body, Int64
from .wire import LARGEST

MAX_SUSPEND_DEADLINE_MS = 60_000
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_CUSTOM = ("custom_cpu_cores", "custom_gb_memory", "custom_disk_size")
_ACCOUNTS = (("user", 1000), ("root", 0))


class AfterIdle(Body, frozen=True):
    """The action for an idle devbox."""

    idle_time_seconds: Annotated[int, Meta(ge=1, le=LARGEST)]
    on_idle: Literal["shutdown", "suspend"]


class ResumeTriggers(Body, frozen=True):
    """The events that resume a suspended devbox."""

    http: bool | None = None
    axon_event: bool | None = None


class LifecycleHooks(Body, frozen=True):
    """The commands to run before a devbox is suspended, and their time limit."""

    suspend_commands: list[str] | None = None
    suspend_deadline_ms: Annotated[int, Meta(gt=0, le=MAX_SUSPEND_DEADLINE_MS)] | None = None


class Lifecycle(Body, frozen=True):
    """The lifecycle settings, which replace the older `after_idle`."""

    after_idle: AfterIdle | None = None
    lifecycle_hooks: LifecycleHooks | None = None
    resume_triggers: ResumeTriggers | None = None


class UserParameters(Body, frozen=True):
    """The account that commands run under."""

    username: str
    uid: Int64


class LaunchParameters(Body, frozen=True):
    """The launch parameters: resources, launch commands and idle behaviour."""

    keep_alive_time_seconds: Annotated[int, Meta(gt=0, le=MAX_KEEP_ALIVE_S)] | None = None
    after_idle: AfterIdle | None = None
    lifecycle: Lifecycle | None = None
    launch_commands: list[str] | None = None
    user_parameters: UserParameters | None = None
    resource_size_request: (
        Literal["X_SMALL", "SMALL", "MEDIUM", "LARGE", "X_LARGE", "XX_LARGE", "CUSTOM_SIZE"] | None
    ) = None
    custom_cpu_cores: float | None = None
    custom_gb_memory: Int64 | None = None
    custom_disk_size: Int64 | None = None
    architecture: Literal["x86_64", "arm64"] | None = None
    available_ports: list[Int64] | None = None
    network_policy_id: str | None = None
    provisioning_tier: Literal["standard", "flex"] | None = None
    required_services: list[str] | None = None

    def check(self) -> None:
        """Raise `InvalidError` for contradictory parameters, `NotServedError` for those that need the cloud.

        `provisioning_tier` needs no check: either tier is provisioned at once. All ports are available.
        """
        size_of(self.given())
        self._check_custom_size()
        newer = self.lifecycle and self.lifecycle.after_idle
        if self.after_idle and newer and self.after_idle != newer:
            raise InvalidError("after_idle and lifecycle.after_idle differ: give the second only.")
        self._check_architecture()
        self._check_account()
        if self.required_services:
            raise NotServedError(
                f"required_services names {', '.join(self.required_services)}: the embedded service runs no containers "
                "beside a devbox. Leave it out, and start them in the devbox by launch_commands."
            )
        if self.lifecycle and self.lifecycle.resume_triggers and self.lifecycle.resume_triggers.axon_event:
            raise NotServedError(
                "The embedded service has no axon_event among resume_triggers: leave it out. "
                "A request to a tunnel (http) resumes a devbox."
            )

    def _check_custom_size(self) -> None:
        for name in _CUSTOM:
            if getattr(self, name) is not None and self.resource_size_request != "CUSTOM_SIZE":
                asked = self.resource_size_request or "the default size"
                raise InvalidError(f"{name} needs resource_size_request CUSTOM_SIZE, not {asked}.")

    def _check_architecture(self) -> None:
        here = _ARCHITECTURES.get(platform.machine().lower())
        if self.architecture is not None and self.architecture != here:
            raise NotServedError(
                f"architecture {self.architecture} cannot be had here: this machine is "
                f"{here or platform.machine()}. Leave it out, or use Runloop's cloud."
            )

    def _check_account(self) -> None:
        asked = self.user_parameters
        if asked is not None and (asked.username, asked.uid) not in _ACCOUNTS:
            raise InvalidError(
                f"user_parameters asks for {asked.username} with uid {asked.uid}: devboxes of the embedded "
                "service have user with uid 1000 and root with uid 0."
            )
