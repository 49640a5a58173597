"""Blueprints: disk images that devboxes start from. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ._view import View
from .devboxes import DevboxCapability
from .launch import LaunchParameters

BlueprintStatus = Literal["queued", "provisioning", "building", "awaiting_upload", "failed", "build_complete"] | str
BlueprintState = Literal["created", "deleted"] | str
BlueprintFailureReason = Literal["out_of_memory", "out_of_disk", "build_failed"] | str


class CodeMountParameters(View):
    """A git repository that is checked out into a devbox."""

    repo_name: str
    repo_owner: str
    token: str | None = Field(default=None, repr=False)
    git_ref: str | None = None
    install_command: str | None = None


class BuildContext(View):
    """The storage object (a tar archive) whose files a Dockerfile can copy."""

    object_id: str
    type: Literal["object"] | str


class ServiceCredentials(View):
    """The login at the image registry of a service."""

    password: str = Field(repr=False)
    username: str


class Service(View):
    """A container that runs beside the devbox."""

    image: str
    name: str
    credentials: ServiceCredentials | None = None
    env: dict[str, str] | None = Field(default=None, repr=False)
    options: str | None = None
    port_mappings: list[str] | None = None


class BlueprintBuildParameters(View):
    """The parameters that a blueprint was built with."""

    name: str
    base_blueprint_id: str | None = None
    base_blueprint_name: str | None = None
    build_args: dict[str, str] | None = Field(default=None, repr=False)
    build_context: BuildContext | None = None
    code_mounts: list[CodeMountParameters] | None = None
    dockerfile: str | None = None
    file_mounts: dict[str, str] | None = Field(default=None, repr=False)
    launch_parameters: LaunchParameters | None = None
    metadata: dict[str, str] | None = None
    network_policy_id: str | None = None
    secrets: dict[str, str] | None = None
    services: list[Service] | None = None
    system_setup_commands: list[str] | None = None


class BlueprintView(View):
    """A blueprint, the status of its build, and the parameters of that."""

    id: str
    create_time_ms: int
    name: str
    parameters: BlueprintBuildParameters
    state: BlueprintState
    status: BlueprintStatus
    base_blueprint_id: str | None = None
    build_finish_time_ms: int | None = None
    containerized_services: list[Service] | None = None
    devbox_capabilities: list[DevboxCapability] | None = None
    failure_reason: BlueprintFailureReason | None = None
    is_public: bool | None = None
    metadata: dict[str, str] | None = None


class BlueprintBuildLog(View):
    """A line of a build."""

    level: str
    message: str
    timestamp_ms: int


class BlueprintBuildLogsListView(View):
    """The log of a build, oldest line first."""

    blueprint_id: str
    logs: list[BlueprintBuildLog] = []


class BlueprintPreviewView(View):
    """The Dockerfile that a blueprint would be built with."""

    dockerfile: str
