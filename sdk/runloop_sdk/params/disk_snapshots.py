"""Parameters of operations on disk snapshots."""

from __future__ import annotations

from collections.abc import Mapping

from ._options import LongRequestOptions
from .lists import MetadataFilterParams


class DiskSnapshotListParams(MetadataFilterParams, total=False):
    """Filters of a list of snapshots."""

    devbox_id: str | None
    """Snapshots of this devbox."""
    source_blueprint_id: str | None
    """Snapshots of devboxes made from this blueprint."""


class DiskSnapshotUpdateParams(LongRequestOptions, total=False):
    """The properties to change."""

    commit_message: str | None
    metadata: Mapping[str, str] | None
    """Replaces all of it."""
    name: str | None
