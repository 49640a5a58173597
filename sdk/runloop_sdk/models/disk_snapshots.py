"""Snapshots of devbox disks."""

from __future__ import annotations

from typing import Literal

from ._view import View

SnapshotStatus = Literal["in_progress", "error", "complete", "deleted"] | str


class DevboxSnapshotView(View):
    """A snapshot; `create_time_ms` is milliseconds since 1970."""

    id: str
    create_time_ms: int
    source_devbox_id: str
    metadata: dict[str, str] = {}
    commit_message: str | None = None
    name: str | None = None
    size_bytes: int | None = None
    source_blueprint_id: str | None = None


class DevboxSnapshotAsyncStatusView(View):
    """The status of a snapshot; with the snapshot once it is complete, or an `error_message` if it failed."""

    status: SnapshotStatus
    error_message: str | None = None
    snapshot: DevboxSnapshotView | None = None
