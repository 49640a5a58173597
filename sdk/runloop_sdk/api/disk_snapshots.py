"""`.api.devboxes.disk_snapshots`: snapshots of devbox disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .. import models
from ..params._options import LongRequestOptions, RequestOptions
from ..params.disk_snapshots import DiskSnapshotListParams, DiskSnapshotUpdateParams
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._pagination import Listing


class DiskSnapshotsAPI(APIResource):
    """Operations on snapshots."""

    def list(self, **params: Unpack[DiskSnapshotListParams]) -> Listing[models.DevboxSnapshotView]:
        """Snapshots, newest first (`GET /v1/devboxes/disk_snapshots`)."""
        return self._list("/v1/devboxes/disk_snapshots", params, lambda: models.DevboxSnapshotView, items="snapshots")

    async def query_status(self, id: str, **options: Unpack[RequestOptions]) -> models.DevboxSnapshotAsyncStatusView:
        """The status of a snapshot, and its view once complete (`GET /v1/devboxes/disk_snapshots/{id}/status`)."""
        path = path_of("/v1/devboxes/disk_snapshots/{}/status", id)
        return await self._get(path, options, lambda: models.DevboxSnapshotAsyncStatusView)

    async def update(self, id: str, **params: Unpack[DiskSnapshotUpdateParams]) -> models.DevboxSnapshotView:
        """The snapshot with a new name, message or metadata (`POST /v1/devboxes/disk_snapshots/{id}`)."""
        return await self._post(
            path_of("/v1/devboxes/disk_snapshots/{}", id), params, lambda: models.DevboxSnapshotView
        )

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> object:
        """Delete a snapshot (`POST /v1/devboxes/disk_snapshots/{id}/delete`)."""
        return await self._send_for_nothing(path_of("/v1/devboxes/disk_snapshots/{}/delete", id), options)
