"""Parameters of operations on blueprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypedDict

from ._options import LongRequestOptions
from .launch import CodeMountParameters, LaunchParameters
from .lists import SearchParams


class BuildContext(TypedDict):
    """The storage object (a tar archive) whose files the Dockerfile can copy."""

    object_id: str
    type: Literal["object"]


class ServiceCredentials(TypedDict):
    """The login at the image registry of a service."""

    password: str
    username: str


class Service(TypedDict, total=False):
    """A container to run beside the devbox."""

    image: Required[str]
    name: Required[str]
    credentials: ServiceCredentials | None
    env: Mapping[str, str] | None
    options: str | None
    """Options of `docker create`."""
    port_mappings: Sequence[str] | None
    """Like `5432:5432`."""


class BlueprintCreateParams(LongRequestOptions, total=False):
    """The blueprint to build: from a Dockerfile or a base, and with commands to run on it."""

    name: Required[str]
    base_blueprint_id: str | None
    base_blueprint_name: str | None
    """The latest blueprint of this name that was built."""
    build_args: Mapping[str, str] | None
    build_context: BuildContext | None
    code_mounts: Sequence[CodeMountParameters] | None
    dockerfile: str | None
    """The text of a Dockerfile."""
    file_mounts: Mapping[str, str] | None
    """Path to content, up to 98,250 bytes each."""
    launch_parameters: LaunchParameters | None
    """For devboxes that start from it."""
    metadata: Mapping[str, str] | None
    network_policy_id: str | None
    """In force during the build."""
    secrets: Mapping[str, str] | None
    """Environment variable of the build to name of a secret."""
    services: Sequence[Service] | None
    system_setup_commands: Sequence[str] | None
    """Run as the user, who may use sudo."""


BlueprintPreviewParams = BlueprintCreateParams


class BlueprintListParams(SearchParams, total=False):
    """Filters of a list of blueprints."""

    name: str | None
    status: str | None


BlueprintListPublicParams = BlueprintListParams
