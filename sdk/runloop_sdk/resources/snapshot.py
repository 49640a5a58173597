"""Snapshots: disks of devboxes, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._errors import UnexpectedStateError
from .._pagination import ResourceListing
from .._polling import Wait
from ..models.disk_snapshots import DevboxSnapshotAsyncStatusView, DevboxSnapshotView

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..params._options import LongRequestOptions, PollingRequestOptions, RequestOptions
    from ..params._waiting import SDKDevboxCreateFromImageParams
    from ..params.disk_snapshots import DiskSnapshotListParams, DiskSnapshotUpdateParams
    from .devbox import AsyncDevbox


@check_arguments
class AsyncSnapshot:
    """One snapshot."""

    def __init__(self, api: AsyncRunloopAPI, snapshot_id: str) -> None:
        self._api = api
        self._id = snapshot_id

    def __repr__(self) -> str:
        return f"<AsyncSnapshot {self._id}>"

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> DevboxSnapshotAsyncStatusView:
        """Its status and, once it is complete, its view (`GET /v1/devboxes/disk_snapshots/{id}/status`)."""
        return await self._api.devboxes.disk_snapshots.query_status(self._id, **options)

    async def update(self, **params: Unpack[DiskSnapshotUpdateParams]) -> DevboxSnapshotView:
        """Change its name, message or metadata (`POST /v1/devboxes/disk_snapshots/{id}`)."""
        return await self._api.devboxes.disk_snapshots.update(self._id, **params)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> object:
        """Delete it (`POST /v1/devboxes/disk_snapshots/{id}/delete`)."""
        return await self._api.devboxes.disk_snapshots.delete(self._id, **options)

    async def await_completed(self, **options: Unpack[PollingRequestOptions]) -> DevboxSnapshotAsyncStatusView:
        """Its status once the disk is saved; raises `UnexpectedStateError` if that failed."""
        wait: Wait[DevboxSnapshotAsyncStatusView] = Wait(
            f"snapshot {self._id} to be complete", options.get("polling_config")
        )
        view = await wait.polled(self.get_info, lambda seen: seen.status != "in_progress")
        if view.status != "complete":
            reason = f" ({view.error_message})" if view.error_message else ""
            raise UnexpectedStateError(f"Snapshot {self._id} is {view.status}{reason}, not complete", view=view)
        return view

    async def create_devbox(self, **params: Unpack[SDKDevboxCreateFromImageParams]) -> AsyncDevbox:
        """A new devbox with this disk."""
        from .devbox import AsyncDevboxOps

        return await AsyncDevboxOps(self._api).create_from_snapshot(self._id, **params)


@check_arguments
class AsyncSnapshotOps:
    """`sdk.snapshot`: find snapshots; `devbox.snapshot_disk()` makes them."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    def from_id(self, snapshot_id: str) -> AsyncSnapshot:
        """The snapshot with this id; asks nothing."""
        return AsyncSnapshot(self._api, snapshot_id)

    def list(self, **params: Unpack[DiskSnapshotListParams]) -> ResourceListing[DevboxSnapshotView, AsyncSnapshot]:
        """Snapshots, newest first: `await` a list of one page, or `async for` (`GET /v1/devboxes/disk_snapshots`)."""
        listing = self._api.devboxes.disk_snapshots.list(**params)
        return ResourceListing(listing, lambda view: AsyncSnapshot(self._api, view.id))
