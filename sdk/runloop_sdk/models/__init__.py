"""Pydantic views of what the API sends, one file per resource. A name from here imports just its file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._view import View
    from .access import DevboxCreateSSHKeyResponse, GatewayTokenView, McpTokenView, PtyTunnelView
    from .accounts import AccountView, Billing, BillingAws, BillingStripe
    from .apikeys import APIKeyCreatedView
    from .auth import AuthMechanism, CustomHeader
    from .axons import (
        AxonEventView,
        AxonView,
        PublishResultView,
        SqlBatchResultView,
        SqlColumnMetaView,
        SqlQueryResultView,
        SqlResultMetaView,
        SqlStepErrorView,
        SqlStepResultView,
    )
    from .blueprints import (
        BlueprintBuildLog,
        BlueprintBuildLogsListView,
        BlueprintBuildParameters,
        BlueprintPreviewView,
        BlueprintView,
        BuildContext,
        CodeMountParameters,
        Service,
        ServiceCredentials,
    )
    from .devboxes import (
        DevboxView,
        GatewaySpecs,
        McpSpecs,
        StateTransition,
        TunnelView,
    )
    from .disk_snapshots import DevboxSnapshotAsyncStatusView, DevboxSnapshotView
    from .executions import (
        DevboxAsyncExecutionDetailView,
        DevboxExecutionDetailView,
        DevboxSendStdInResult,
        ExecutionUpdateChunk,
    )
    from .gateway_configs import GatewayConfigView
    from .launch import (
        AfterIdle,
        LaunchParameters,
        LifecycleConfiguration,
        LifecycleHooks,
        ResumeTriggers,
        UserParameters,
    )
    from .logs import DevboxLogsListView, Log
    from .mcp_configs import McpConfigView
    from .network_policies import AllowedCidr, Egress, NetworkPolicyView, PortRule
    from .objects import ObjectDownloadURLView, ObjectView
    from .pty import PtyConnectView, PtyControlResultView
    from .restricted_keys import RestrictedKeyCreatedView, ScopeEntryView
    from .secrets import SecretView
    from .usage import DevboxEvictionEventView, DevboxResourceUsageView

_NAMES_OF = {
    "_view": "View",
    "access": "DevboxCreateSSHKeyResponse GatewayTokenView McpTokenView PtyTunnelView",
    "accounts": "AccountView Billing BillingAws BillingStripe",
    "apikeys": "APIKeyCreatedView",
    "auth": "AuthMechanism CustomHeader",
    "axons": (
        "AxonEventView AxonView PublishResultView SqlBatchResultView SqlColumnMetaView SqlQueryResultView "
        "SqlResultMetaView SqlStepErrorView SqlStepResultView"
    ),
    "blueprints": (
        "BlueprintBuildLog BlueprintBuildLogsListView BlueprintBuildParameters BlueprintPreviewView "
        "BlueprintView BuildContext CodeMountParameters Service ServiceCredentials"
    ),
    "devboxes": "DevboxView GatewaySpecs McpSpecs StateTransition TunnelView",
    "disk_snapshots": "DevboxSnapshotAsyncStatusView DevboxSnapshotView",
    "executions": "DevboxAsyncExecutionDetailView DevboxExecutionDetailView DevboxSendStdInResult ExecutionUpdateChunk",
    "gateway_configs": "GatewayConfigView",
    "launch": "AfterIdle LaunchParameters LifecycleConfiguration LifecycleHooks ResumeTriggers UserParameters",
    "logs": "DevboxLogsListView Log",
    "mcp_configs": "McpConfigView",
    "network_policies": "AllowedCidr Egress NetworkPolicyView PortRule",
    "objects": "ObjectDownloadURLView ObjectView",
    "pty": "PtyConnectView PtyControlResultView",
    "restricted_keys": "RestrictedKeyCreatedView ScopeEntryView",
    "secrets": "SecretView",
    "usage": "DevboxEvictionEventView DevboxResourceUsageView",
}
_FILE_OF = {name: file for file, names in _NAMES_OF.items() for name in names.split()}

__all__ = [
    "APIKeyCreatedView",
    "AccountView",
    "AfterIdle",
    "AllowedCidr",
    "AuthMechanism",
    "AxonEventView",
    "AxonView",
    "Billing",
    "BillingAws",
    "BillingStripe",
    "BlueprintBuildLog",
    "BlueprintBuildLogsListView",
    "BlueprintBuildParameters",
    "BlueprintPreviewView",
    "BlueprintView",
    "BuildContext",
    "CodeMountParameters",
    "CustomHeader",
    "DevboxAsyncExecutionDetailView",
    "DevboxCreateSSHKeyResponse",
    "DevboxEvictionEventView",
    "DevboxExecutionDetailView",
    "DevboxLogsListView",
    "DevboxResourceUsageView",
    "DevboxSendStdInResult",
    "DevboxSnapshotAsyncStatusView",
    "DevboxSnapshotView",
    "DevboxView",
    "Egress",
    "ExecutionUpdateChunk",
    "GatewayConfigView",
    "GatewaySpecs",
    "GatewayTokenView",
    "LaunchParameters",
    "LifecycleConfiguration",
    "LifecycleHooks",
    "Log",
    "McpConfigView",
    "McpSpecs",
    "McpTokenView",
    "NetworkPolicyView",
    "ObjectDownloadURLView",
    "ObjectView",
    "PortRule",
    "PtyConnectView",
    "PtyControlResultView",
    "PtyTunnelView",
    "PublishResultView",
    "RestrictedKeyCreatedView",
    "ResumeTriggers",
    "ScopeEntryView",
    "SecretView",
    "Service",
    "ServiceCredentials",
    "SqlBatchResultView",
    "SqlColumnMetaView",
    "SqlQueryResultView",
    "SqlResultMetaView",
    "SqlStepErrorView",
    "SqlStepResultView",
    "StateTransition",
    "TunnelView",
    "UserParameters",
    "View",
]


def __getattr__(name: str) -> object:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_FILE_OF[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return __all__
