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
    AuthenticationError,
    BadRequestError,
    CommandError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PollingTimeoutError,
    RateLimitError,
    RunloopError,
    ServerError,
    StreamError,
    UnexpectedStateError,
    WaitTimeoutError,
)
from ._pagination import Listing, Page, ResourceListing
from ._polling import PollingConfig
from ._sdk import AsyncRunloopSDK
from ._streams import OutputChunk

if TYPE_CHECKING:
    from .resources.axon import AsyncAxon, AsyncAxonOps
    from .resources.blueprint import AsyncBlueprint, AsyncBlueprintOps
    from .resources.command import AsyncCommandInterface
    from .resources.devbox import AsyncDevbox, AsyncDevboxOps
    from .resources.execution import AsyncExecution, AsyncExecutionResult
    from .resources.file import AsyncFileInterface
    from .resources.gateway_config import AsyncGatewayConfig, AsyncGatewayConfigOps
    from .resources.mcp_config import AsyncMcpConfig, AsyncMcpConfigOps
    from .resources.network import AsyncNetworkInterface
    from .resources.network_policy import AsyncNetworkPolicy, AsyncNetworkPolicyOps
    from .resources.pty import AsyncPty
    from .resources.secret import AsyncSecret, AsyncSecretById, AsyncSecretOps
    from .resources.shell import AsyncNamedShell
    from .resources.snapshot import AsyncSnapshot, AsyncSnapshotOps
    from .resources.storage_object import AsyncStorageObject, AsyncStorageObjectOps

# Resources are imported when first named: a notebook that runs a command does not pay for blueprints.
_FILES = {
    "AsyncAxon": "axon",
    "AsyncAxonOps": "axon",
    "AsyncBlueprint": "blueprint",
    "AsyncBlueprintOps": "blueprint",
    "AsyncCommandInterface": "command",
    "AsyncDevbox": "devbox",
    "AsyncDevboxOps": "devbox",
    "AsyncExecution": "execution",
    "AsyncExecutionResult": "execution",
    "AsyncFileInterface": "file",
    "AsyncGatewayConfig": "gateway_config",
    "AsyncGatewayConfigOps": "gateway_config",
    "AsyncMcpConfig": "mcp_config",
    "AsyncMcpConfigOps": "mcp_config",
    "AsyncNamedShell": "shell",
    "AsyncNetworkInterface": "network",
    "AsyncNetworkPolicy": "network_policy",
    "AsyncNetworkPolicyOps": "network_policy",
    "AsyncPty": "pty",
    "AsyncSecret": "secret",
    "AsyncSecretById": "secret",
    "AsyncSecretOps": "secret",
    "AsyncSnapshot": "snapshot",
    "AsyncSnapshotOps": "snapshot",
    "AsyncStorageObject": "storage_object",
    "AsyncStorageObjectOps": "storage_object",
}

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncAxon",
    "AsyncAxonOps",
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
    "Listing",
    "NotFoundError",
    "OutputChunk",
    "Page",
    "PermissionDeniedError",
    "PollingConfig",
    "PollingTimeoutError",
    "RateLimitError",
    "ResourceListing",
    "RunloopError",
    "ServerError",
    "StreamError",
    "UnexpectedStateError",
    "WaitTimeoutError",
]


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".resources.{_FILES[name]}", __name__), name)
