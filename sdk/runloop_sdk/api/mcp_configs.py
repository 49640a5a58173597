"""`.api.mcp_configs`: tool servers that devboxes call without knowing the credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .. import models
from ..params._options import LongRequestOptions, RequestOptions
from ..params.mcp_configs import McpConfigCreateParams, McpConfigListParams, McpConfigUpdateParams
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._pagination import Listing


class McpConfigsAPI(APIResource):
    """Operations on MCP configurations."""

    async def create(self, **params: Unpack[McpConfigCreateParams]) -> models.McpConfigView:
        """A new MCP configuration (`POST /v1/mcp-configs`)."""
        return await self._post("/v1/mcp-configs", params, lambda: models.McpConfigView)

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> models.McpConfigView:
        """An MCP configuration as it is now (`GET /v1/mcp-configs/{id}`)."""
        return await self._get(path_of("/v1/mcp-configs/{}", id), options, lambda: models.McpConfigView)

    async def update(self, id: str, **params: Unpack[McpConfigUpdateParams]) -> models.McpConfigView:
        """Update the MCP configuration (`POST /v1/mcp-configs/{id}`)."""
        return await self._post(path_of("/v1/mcp-configs/{}", id), params, lambda: models.McpConfigView)

    def list(self, **params: Unpack[McpConfigListParams]) -> Listing[models.McpConfigView]:
        """MCP configurations, newest first (`GET /v1/mcp-configs`)."""
        return self._list("/v1/mcp-configs", params, lambda: models.McpConfigView, items="mcp_configs")

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> models.McpConfigView:
        """Delete the MCP configuration (`POST /v1/mcp-configs/{id}/delete`)."""
        return await self._post_empty(path_of("/v1/mcp-configs/{}/delete", id), options, lambda: models.McpConfigView)
