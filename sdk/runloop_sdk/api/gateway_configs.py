"""`.api.gateway_configs`: APIs that devboxes call without knowing the credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .. import models
from ..params._options import LongRequestOptions, RequestOptions
from ..params.gateway_configs import GatewayConfigCreateParams, GatewayConfigListParams, GatewayConfigUpdateParams
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._pagination import Listing


class GatewayConfigsAPI(APIResource):
    """Operations on gateway configurations."""

    async def create(self, **params: Unpack[GatewayConfigCreateParams]) -> models.GatewayConfigView:
        """A new gateway configuration (`POST /v1/gateway-configs`)."""
        return await self._post("/v1/gateway-configs", params, lambda: models.GatewayConfigView)

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> models.GatewayConfigView:
        """A gateway configuration as it is now (`GET /v1/gateway-configs/{id}`)."""
        return await self._get(path_of("/v1/gateway-configs/{}", id), options, lambda: models.GatewayConfigView)

    async def update(self, id: str, **params: Unpack[GatewayConfigUpdateParams]) -> models.GatewayConfigView:
        """Update the gateway configuration (`POST /v1/gateway-configs/{id}`)."""
        return await self._post(path_of("/v1/gateway-configs/{}", id), params, lambda: models.GatewayConfigView)

    def list(self, **params: Unpack[GatewayConfigListParams]) -> Listing[models.GatewayConfigView]:
        """Gateway configurations, newest first (`GET /v1/gateway-configs`)."""
        return self._list("/v1/gateway-configs", params, lambda: models.GatewayConfigView, items="gateway_configs")

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> models.GatewayConfigView:
        """Delete the gateway configuration (`POST /v1/gateway-configs/{id}/delete`)."""
        return await self._post_empty(
            path_of("/v1/gateway-configs/{}/delete", id), options, lambda: models.GatewayConfigView
        )
