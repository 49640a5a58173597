"""MCP configs: MCP servers that devboxes may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._pagination import ResourceListing
from ..params._options import LongRequestOptions, RequestOptions
from ..params.mcp_configs import McpConfigCreateParams, McpConfigListParams, McpConfigUpdateParams

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.mcp_configs import McpConfigView


@check_arguments
class AsyncMcpConfig:
    """One MCP config."""

    def __init__(self, api: AsyncRunloopAPI, mcp_config_id: str) -> None:
        self._api = api
        self._id = mcp_config_id

    def __repr__(self) -> str:
        return f"<AsyncMcpConfig {self._id}>"

    @property
    def id(self) -> str:
        """The MCP config's id."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> McpConfigView:
        """The MCP config as it is now (`GET /v1/mcp-configs/{id}`)."""
        return await self._api.mcp_configs.retrieve(self._id, **options)

    async def update(self, **params: Unpack[McpConfigUpdateParams]) -> McpConfigView:
        """Update the MCP config (`POST /v1/mcp-configs/{id}`)."""
        return await self._api.mcp_configs.update(self._id, **params)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> McpConfigView:
        """Delete the MCP config (`POST /v1/mcp-configs/{id}/delete`)."""
        return await self._api.mcp_configs.delete(self._id, **options)


@check_arguments
class AsyncMcpConfigOps:
    """`sdk.mcp_config`: create and find MCP configs."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, **params: Unpack[McpConfigCreateParams]) -> AsyncMcpConfig:
        """A new MCP config (`POST /v1/mcp-configs`)."""
        return AsyncMcpConfig(self._api, (await self._api.mcp_configs.create(**params)).id)

    def from_id(self, mcp_config_id: str) -> AsyncMcpConfig:
        """The MCP config with this id; sends no request."""
        return AsyncMcpConfig(self._api, mcp_config_id)

    def list(self, **params: Unpack[McpConfigListParams]) -> ResourceListing[McpConfigView, AsyncMcpConfig]:
        """MCP configs, newest first: `await` gives a list of one page, or `async for` (`GET /v1/mcp-configs`)."""
        return ResourceListing(self._api.mcp_configs.list(**params), lambda view: AsyncMcpConfig(self._api, view.id))
