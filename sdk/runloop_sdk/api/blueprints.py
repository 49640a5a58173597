"""`.api.blueprints`: disk images that devboxes start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..models.blueprints import BlueprintBuildLogsListView, BlueprintPreviewView, BlueprintView
from ..params._options import LongRequestOptions, RequestOptions
from ..params.blueprints import (
    BlueprintCreateParams,
    BlueprintListParams,
    BlueprintListPublicParams,
    BlueprintPreviewParams,
)
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._pagination import Listing


class BlueprintsAPI(APIResource):
    """Operations on blueprints."""

    async def create(self, **params: Unpack[BlueprintCreateParams]) -> BlueprintView:
        """A new blueprint, whose build begins (`POST /v1/blueprints`)."""
        return await self._post("/v1/blueprints", params, BlueprintView)

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> BlueprintView:
        """A blueprint as it is now (`GET /v1/blueprints/{id}`)."""
        return await self._get(path_of("/v1/blueprints/{}", id), options, BlueprintView)

    def list(self, **params: Unpack[BlueprintListParams]) -> Listing[BlueprintView]:
        """Blueprints, newest first (`GET /v1/blueprints`)."""
        return self._list("/v1/blueprints", params, BlueprintView, items="blueprints")

    def list_public(self, **params: Unpack[BlueprintListPublicParams]) -> Listing[BlueprintView]:
        """Blueprints that everybody may use (`GET /v1/blueprints/list_public`)."""
        return self._list("/v1/blueprints/list_public", params, BlueprintView, items="blueprints")

    async def logs(self, id: str, **options: Unpack[RequestOptions]) -> BlueprintBuildLogsListView:
        """The log of the build so far (`GET /v1/blueprints/{id}/logs`)."""
        return await self._get(path_of("/v1/blueprints/{}/logs", id), options, BlueprintBuildLogsListView)

    async def preview(self, **params: Unpack[BlueprintPreviewParams]) -> BlueprintPreviewView:
        """The Dockerfile that a build would use; deprecated by the API (`POST /v1/blueprints/preview`)."""
        return await self._post("/v1/blueprints/preview", params, BlueprintPreviewView)

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> object:
        """Delete a blueprint that no snapshot depends on (`POST /v1/blueprints/{id}/delete`)."""
        return await self._send_for_nothing(path_of("/v1/blueprints/{}/delete", id), options)
