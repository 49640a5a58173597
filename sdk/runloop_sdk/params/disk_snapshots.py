"""What operations on disk snapshots take."""

from __future__ import annotations

from collections.abc import Mapping

from ._options import LongRequestOptions
from .lists import MetadataFilterParams


class DiskSnapshotListParams(MetadataFilterParams, total=False):
    """Which snapshots to list."""

    devbox_id: str | None
    """Taken of this devbox."""
    source_blueprint_id: str | None
    """Taken of devboxes of this blueprint."""


class DiskSnapshotUpdateParams(LongRequestOptions, total=False):
    """What to change."""

    commit_message: str | None
    metadata: Mapping[str, str] | None
    """Replaces all of it."""
    name: str | None
