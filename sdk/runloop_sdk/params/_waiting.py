"""What the SDK's methods take that begin something and wait for it."""

from __future__ import annotations

from ._options import PollingRequestOptions
from .blueprints import BlueprintCreateParams
from .devboxes import DevboxCreateFromImageParams, DevboxCreateParams, DevboxSnapshotDiskAsyncParams


class SDKDevboxCreateParams(DevboxCreateParams, PollingRequestOptions, total=False):
    """What `devbox.create` takes."""


class SDKDevboxCreateFromImageParams(DevboxCreateFromImageParams, PollingRequestOptions, total=False):
    """What `devbox.create_from_...` takes."""


class SDKDevboxSnapshotDiskParams(DevboxSnapshotDiskAsyncParams, PollingRequestOptions, total=False):
    """What `snapshot_disk` takes."""


class SDKBlueprintCreateParams(BlueprintCreateParams, PollingRequestOptions, total=False):
    """What `blueprint.create` takes."""
