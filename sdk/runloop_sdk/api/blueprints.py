"""`.api.blueprints`: disk images that devboxes start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .. import models
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

    async def create(self, **params: Unpack[BlueprintCreateParams]) -> models.BlueprintView:
        """A new blueprint, whose build begins (`POST /v1/blueprints`)."""
        return await self._post("/v1/blueprints", params, lambda: models.BlueprintView)

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> models.BlueprintView:
        """A blueprint as it is now (`GET /v1/blueprints/{id}`)."""
        return await self._get(path_of("/v1/blueprints/{}", id), options, lambda: models.BlueprintView)

    def list(self, **params: Unpack[BlueprintListParams]) -> Listing[models.BlueprintView]:
        """Blueprints, newest first (`GET /v1/blueprints`)."""
        return self._list("/v1/blueprints", params, lambda: models.BlueprintView, items="blueprints")

    def list_public(self, **params: Unpack[BlueprintListPublicParams]) -> Listing[models.BlueprintView]:
        """Blueprints that everybody may use (`GET /v1/blueprints/list_public`)."""
        return self._list("/v1/blueprints/list_public", params, lambda: models.BlueprintView, items="blueprints")

    async def logs(self, id: str, **options: Unpack[RequestOptions]) -> models.BlueprintBuildLogsListView:
        """The log of the build so far (`GET /v1/blueprints/{id}/logs`)."""
        return await self._get(
            path_of("/v1/blueprints/{}/logs", id), options, lambda: models.BlueprintBuildLogsListView
        )

    async def preview(self, **params: Unpack[BlueprintPreviewParams]) -> models.BlueprintPreviewView:
        """The Dockerfile that a build would use; deprecated by the API (`POST /v1/blueprints/preview`)."""
        return await self._post("/v1/blueprints/preview", params, lambda: models.BlueprintPreviewView)

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> object:
        """Delete a blueprint that no snapshot depends on (`POST /v1/blueprints/{id}/delete`)."""
        return await self._send_for_nothing(path_of("/v1/blueprints/{}/delete", id), options)
