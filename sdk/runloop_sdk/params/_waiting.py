"""Parameters of the SDK's methods that start something and wait for it."""

from __future__ import annotations

from ._options import PollingRequestOptions
from .blueprints import BlueprintCreateParams
from .devboxes import DevboxCreateFromImageParams, DevboxCreateParams, DevboxSnapshotDiskAsyncParams


class SDKDevboxCreateParams(DevboxCreateParams, PollingRequestOptions, total=False):
    """Parameters of `sdk.devbox.create`."""


class SDKDevboxCreateFromImageParams(DevboxCreateFromImageParams, PollingRequestOptions, total=False):
    """Parameters of `sdk.devbox.create_from_...`."""


class SDKDevboxSnapshotDiskParams(DevboxSnapshotDiskAsyncParams, PollingRequestOptions, total=False):
    """Parameters of `devbox.snapshot_disk`."""


class SDKBlueprintCreateParams(BlueprintCreateParams, PollingRequestOptions, total=False):
    """Parameters of `sdk.blueprint.create`."""
