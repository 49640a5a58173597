"""Parameters of operations on devboxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypedDict

from .._upload import UploadSource
from ._options import LongRequestOptions, RequestOptions
from .launch import CodeMountParameters, LaunchParameters
from .lists import SearchParams

DevboxStatus = Literal[
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


class ObjectMount(TypedDict):
    """A storage object to put at `object_path`; archives are extracted."""

    object_id: str
    object_path: str
    type: Literal["object_mount"]


class CodeMount(CodeMountParameters):
    """A git repository to check out."""

    type: Required[Literal["code_mount"]]


class FileMount(TypedDict):
    """A text file to write, up to 98,250 bytes."""

    content: str
    target: str
    type: Literal["file_mount"]


class BrokerMount(TypedDict, total=False):
    """An agent that is connected to an axon."""

    axon_id: Required[str]
    type: Required[Literal["broker_mount"]]
    agent_binary: str | None
    launch_args: Sequence[str] | None
    protocol: Literal["acp", "claude_json", "codex_json", "pi_json"] | None
    working_directory: str | None


Mount = ObjectMount | CodeMount | FileMount | BrokerMount


class Gateways(TypedDict):
    """A gateway configuration and the secret to use with it, each by id or name."""

    gateway: str
    secret: str


class Mcp(TypedDict):
    """An MCP configuration and the secret to use with it, each by id or name."""

    mcp_config: str
    secret: str


class Tunnel(TypedDict, total=False):
    """A tunnel to open."""

    auth_mode: Literal["open", "authenticated"] | None
    """`open` by default: then everyone who knows the URL has access."""
    http_keep_alive: bool | None
    """False if requests do not count as use of the devbox; True by default."""
    wake_on_http: bool | None
    """True if a request resumes the devbox when it is suspended; False by default."""


class DevboxCreateFromImageParams(LongRequestOptions, total=False):
    """The properties of a new devbox, without the image that it starts from."""

    code_mounts: Sequence[CodeMountParameters] | None
    """Repositories to check out; `mounts` can do the same."""
    entrypoint: str | None
    """A command to run at start; the devbox is shut down when it ends."""
    environment_variables: Mapping[str, str] | None
    file_mounts: Mapping[str, str] | None
    """Path to content, up to 98,250 bytes each."""
    gateways: Mapping[str, Gateways] | None
    """Prefix of environment variables to gateway."""
    launch_parameters: LaunchParameters | None
    mcp: Mapping[str, Mcp] | None
    """Environment variable to MCP server."""
    metadata: Mapping[str, str] | None
    mounts: Sequence[Mount] | None
    name: str | None
    secrets: Mapping[str, str] | None
    """Environment variable to name of a secret."""
    tunnel: Tunnel | None


class DevboxCreateParams(DevboxCreateFromImageParams, total=False):
    """The properties of a new devbox, and at most one of three kinds of image that it starts from."""

    blueprint_id: str | None
    blueprint_name: str | None
    """The latest blueprint of this name that was built."""
    snapshot_id: str | None


class DevboxUpdateParams(LongRequestOptions, total=False):
    """The properties to change."""

    metadata: Mapping[str, str] | None
    """Replaces all of it."""
    name: str | None


class DevboxListParams(SearchParams, total=False):
    """Filters of a list of devboxes."""

    status: DevboxStatus | None


class DevboxWaitForStatusParams(RequestOptions, total=False):
    """The states to wait for."""

    statuses: Required[Sequence[DevboxStatus | str]]
    """Any of these ends the wait."""
    timeout_seconds: float | None
    """Seconds for which the service holds the request; 30 at most and by default."""


class DevboxWaitForCommandParams(LongRequestOptions, total=False):
    """The states to wait for."""

    statuses: Required[Sequence[Literal["queued", "running", "completed"]]]
    """Any of these ends the wait."""
    last_n: str | int | None
    """The last lines of each stream; 100 by default."""
    timeout_seconds: float | None
    """Seconds for which the service holds the request; 25 at most and by default."""


class DevboxExecuteParams(LongRequestOptions, total=False):
    """A command to run and wait for."""

    command: Required[str]
    command_id: str | None
    """The execution's id, a UUID version 7; a new one by default."""
    last_n: str | int | None
    """The last lines of each stream; 100 by default."""
    optimistic_timeout: int | None
    """Seconds to wait; 25 at most and by default. The command goes on afterwards."""
    shell_name: str | None
    """A named shell: its commands run one after the other and share directory and environment. Not every service
    has them."""


class DevboxExecuteAsyncParams(LongRequestOptions, total=False):
    """A command to start."""

    command: Required[str]
    attach_stdin: bool | None
    """True to allow `send_std_in`."""
    shell_name: str | None
    """A named shell, see `DevboxExecuteParams`."""


class DevboxExecuteSyncParams(LongRequestOptions, total=False):
    """A command to run to its end."""

    command: Required[str]
    attach_stdin: bool | None
    shell_name: str | None
    """A named shell, see `DevboxExecuteParams`."""


class DevboxReadFileContentsParams(LongRequestOptions, total=False):
    """A file to read."""

    file_path: Required[str]
    """Absolute, or below the home directory."""


class DevboxWriteFileContentsParams(LongRequestOptions, total=False):
    """A file to write."""

    contents: Required[str]
    file_path: Required[str]
    """Absolute, or below the home directory."""


class DevboxDownloadFileParams(LongRequestOptions, total=False):
    """A file to download."""

    path: Required[str]
    """Absolute, or below the home directory."""


class DevboxUploadFileParams(LongRequestOptions, total=False):
    """A file to upload."""

    path: Required[str]
    """The destination: absolute, or relative to the home directory."""
    file: Required[UploadSource]
    """Bytes, the path of a file, a file opened in binary mode, or an async iterator of bytes."""


class DevboxShutdownParams(LongRequestOptions, total=False):
    """Options of a shutdown."""

    force: bool | str | None
    """True to shut down even while a snapshot is being taken."""


class DevboxSnapshotDiskParams(LongRequestOptions, total=False):
    """The description of the snapshot."""

    commit_message: str | None
    metadata: Mapping[str, str] | None
    name: str | None


DevboxSnapshotDiskAsyncParams = DevboxSnapshotDiskParams


class DevboxEnableTunnelParams(LongRequestOptions, Tunnel, total=False):
    """The tunnel to open."""


class DevboxCreateGatewayTokenParams(LongRequestOptions, total=False):
    """A gateway configuration and the secret to use with it, each by id or name."""

    gateway: Required[str]
    secret: Required[str]


class DevboxCreateMcpTokenParams(LongRequestOptions, total=False):
    """An MCP configuration and the secret to use with it, each by id or name."""

    mcp_config: Required[str]
    secret: Required[str]
