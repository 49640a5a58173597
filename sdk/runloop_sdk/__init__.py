"""The async SDK for Runloop devboxes.

>>> async with AsyncRunloopSDK() as runloop:
...     async with await runloop.devbox.create(name="my-devbox") as devbox:
...         result = await devbox.cmd.exec("echo hello")
...         print(await result.stdout())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    ArchiveError,
    AuthenticationError,
    BadRequestError,
    CommandError,
    ConfigurationError,
    ConflictError,
    LocalFileError,
    NotFoundError,
    OutputTooLargeError,
    PermissionDeniedError,
    PollingTimeoutError,
    RateLimitError,
    RunloopError,
    ServerError,
    StreamError,
    UnexpectedStateError,
    WaitTimeoutError,
)
from ._sdk import AsyncRunloopSDK

if TYPE_CHECKING:
    from ._extraction import Skipped
    from ._hostile_tar import ExtractionLimits
    from ._pagination import Listing, Page, ResourceListing
    from ._polling import PollingConfig
    from ._streams import OutputChunk
    from .archives import gitignored
    from .cancellation import complete_or_undo, run_undo
    from .resources.axon import AsyncAxon, AsyncAxonOps, AsyncAxonSqlOps
    from .resources.blueprint import AsyncBlueprint, AsyncBlueprintOps
    from .resources.command import AsyncCommandInterface
    from .resources.devbox import AsyncDevbox, AsyncDevboxOps, AsyncSnapshot
    from .resources.execution import AsyncExecution, AsyncExecutionResult
    from .resources.file import AsyncFileInterface, FileInfo
    from .resources.gateway_config import AsyncGatewayConfig, AsyncGatewayConfigOps
    from .resources.mcp_config import AsyncMcpConfig, AsyncMcpConfigOps
    from .resources.network import AsyncNetworkInterface
    from .resources.network_policy import AsyncNetworkPolicy, AsyncNetworkPolicyOps
    from .resources.pty import AsyncPty
    from .resources.secret import AsyncSecret, AsyncSecretById, AsyncSecretOps
    from .resources.shell import AsyncNamedShell
    from .resources.snapshot import AsyncSnapshotOps
    from .resources.storage_object import AsyncStorageObject, AsyncStorageObjectOps, content_type_of

# Imported when first named: a notebook that runs a command does not pay for blueprints.
_FILES = {
    "AsyncAxon": "resources.axon",
    "AsyncAxonOps": "resources.axon",
    "AsyncAxonSqlOps": "resources.axon",
    "AsyncBlueprint": "resources.blueprint",
    "AsyncBlueprintOps": "resources.blueprint",
    "AsyncCommandInterface": "resources.command",
    "AsyncDevbox": "resources.devbox",
    "AsyncDevboxOps": "resources.devbox",
    "AsyncExecution": "resources.execution",
    "AsyncExecutionResult": "resources.execution",
    "AsyncFileInterface": "resources.file",
    "AsyncGatewayConfig": "resources.gateway_config",
    "AsyncGatewayConfigOps": "resources.gateway_config",
    "AsyncMcpConfig": "resources.mcp_config",
    "AsyncMcpConfigOps": "resources.mcp_config",
    "AsyncNamedShell": "resources.shell",
    "AsyncNetworkInterface": "resources.network",
    "AsyncNetworkPolicy": "resources.network_policy",
    "AsyncNetworkPolicyOps": "resources.network_policy",
    "AsyncPty": "resources.pty",
    "AsyncSecret": "resources.secret",
    "AsyncSecretById": "resources.secret",
    "AsyncSecretOps": "resources.secret",
    "AsyncSnapshot": "resources.devbox",
    "AsyncSnapshotOps": "resources.snapshot",
    "AsyncStorageObject": "resources.storage_object",
    "AsyncStorageObjectOps": "resources.storage_object",
    "ExtractionLimits": "_hostile_tar",
    "FileInfo": "resources.file",
    "Listing": "_pagination",
    "OutputChunk": "_streams",
    "Page": "_pagination",
    "PollingConfig": "_polling",
    "ResourceListing": "_pagination",
    "Skipped": "_extraction",
    "complete_or_undo": "cancellation",
    "content_type_of": "resources.storage_object",
    "gitignored": "archives",
    "run_undo": "cancellation",
}

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "ArchiveError",
    "AsyncAxon",
    "AsyncAxonOps",
    "AsyncAxonSqlOps",
    "AsyncBlueprint",
    "AsyncBlueprintOps",
    "AsyncCommandInterface",
    "AsyncDevbox",
    "AsyncDevboxOps",
    "AsyncExecution",
    "AsyncExecutionResult",
    "AsyncFileInterface",
    "AsyncGatewayConfig",
    "AsyncGatewayConfigOps",
    "AsyncMcpConfig",
    "AsyncMcpConfigOps",
    "AsyncNamedShell",
    "AsyncNetworkInterface",
    "AsyncNetworkPolicy",
    "AsyncNetworkPolicyOps",
    "AsyncPty",
    "AsyncRunloopSDK",
    "AsyncSecret",
    "AsyncSecretById",
    "AsyncSecretOps",
    "AsyncSnapshot",
    "AsyncSnapshotOps",
    "AsyncStorageObject",
    "AsyncStorageObjectOps",
    "AuthenticationError",
    "BadRequestError",
    "CommandError",
    "ConfigurationError",
    "ConflictError",
    "ExtractionLimits",
    "FileInfo",
    "Listing",
    "LocalFileError",
    "NotFoundError",
    "OutputChunk",
    "OutputTooLargeError",
    "Page",
    "PermissionDeniedError",
    "PollingConfig",
    "PollingTimeoutError",
    "RateLimitError",
    "ResourceListing",
    "RunloopError",
    "ServerError",
    "Skipped",
    "StreamError",
    "UnexpectedStateError",
    "WaitTimeoutError",
    "complete_or_undo",
    "content_type_of",
    "gitignored",
    "run_undo",
]


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_FILES[name]}", __name__), name)
    return found
