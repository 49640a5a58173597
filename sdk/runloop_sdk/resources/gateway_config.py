"""Gateway configs: credentials that a proxy adds to a devbox's calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._pagination import ResourceListing
from ..params._options import LongRequestOptions, RequestOptions
from ..params.gateway_configs import GatewayConfigCreateParams, GatewayConfigListParams, GatewayConfigUpdateParams

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.gateway_configs import GatewayConfigView


@check_arguments
class AsyncGatewayConfig:
    """One gateway config."""

    def __init__(self, api: AsyncRunloopAPI, gateway_config_id: str) -> None:
        self._api = api
        self._id = gateway_config_id

    def __repr__(self) -> str:
        return f"<AsyncGatewayConfig {self._id}>"

    @property
    def id(self) -> str:
        """The gateway config's id."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> GatewayConfigView:
        """The gateway config as it is now (`GET /v1/gateway-configs/{id}`)."""
        return await self._api.gateway_configs.retrieve(self._id, **options)

    async def update(self, **params: Unpack[GatewayConfigUpdateParams]) -> GatewayConfigView:
        """Update the gateway config (`POST /v1/gateway-configs/{id}`)."""
        return await self._api.gateway_configs.update(self._id, **params)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> GatewayConfigView:
        """Delete the gateway config (`POST /v1/gateway-configs/{id}/delete`)."""
        return await self._api.gateway_configs.delete(self._id, **options)


@check_arguments
class AsyncGatewayConfigOps:
    """`sdk.gateway_config`: create and find gateway configs."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, **params: Unpack[GatewayConfigCreateParams]) -> AsyncGatewayConfig:
        """A new gateway config (`POST /v1/gateway-configs`)."""
        return AsyncGatewayConfig(self._api, (await self._api.gateway_configs.create(**params)).id)

    def from_id(self, gateway_config_id: str) -> AsyncGatewayConfig:
        """The gateway config with this id; sends no request."""
        return AsyncGatewayConfig(self._api, gateway_config_id)

    def list(self, **params: Unpack[GatewayConfigListParams]) -> ResourceListing[GatewayConfigView, AsyncGatewayConfig]:
        """Gateway configs: `await` a list of one page, or `async for` (`GET /v1/gateway-configs`)."""
        return ResourceListing(
            self._api.gateway_configs.list(**params), lambda view: AsyncGatewayConfig(self._api, view.id)
        )
