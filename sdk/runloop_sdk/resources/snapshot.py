"""Snapshots of the disks of devboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._pagination import ResourceListing
from ..params.disk_snapshots import DiskSnapshotListParams
from .devbox import AsyncSnapshot

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.disk_snapshots import DevboxSnapshotView


@check_arguments
class AsyncSnapshotOps:
    """`sdk.snapshot`: find snapshots; `devbox.snapshot_disk()` makes them."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    def from_id(self, snapshot_id: str) -> AsyncSnapshot:
        """The snapshot with this id; sends no request."""
        return AsyncSnapshot(self._api, snapshot_id)

    def list(self, **params: Unpack[DiskSnapshotListParams]) -> ResourceListing[DevboxSnapshotView, AsyncSnapshot]:
        """Snapshots, newest first: `await` a list of one page, or `async for` (`GET /v1/devboxes/disk_snapshots`)."""
        listing = self._api.devboxes.disk_snapshots.list(**params)
        return ResourceListing(listing, lambda view: AsyncSnapshot(self._api, view.id))
