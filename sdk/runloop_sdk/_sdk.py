"""The entry point."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Self

from ._config import DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT, resolve_config
from ._transport import Transport
from .api._client import AsyncRunloopAPI

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from .resources.axon import AsyncAxonOps
    from .resources.blueprint import AsyncBlueprintOps
    from .resources.devbox import AsyncDevboxOps
    from .resources.gateway_config import AsyncGatewayConfigOps
    from .resources.mcp_config import AsyncMcpConfigOps
    from .resources.network_policy import AsyncNetworkPolicyOps
    from .resources.secret import AsyncSecretOps
    from .resources.snapshot import AsyncSnapshotOps
    from .resources.storage_object import AsyncStorageObjectOps


class AsyncRunloopSDK:
    """Devboxes and all that belongs to them, for one event loop.

    `bearer_token` and `base_url` default to RUNLOOP_API_KEY and RUNLOOP_BASE_URL; `timeout` is in seconds between two
    pieces of an answer; `max_retries` counts the tries after the first. `async with` or `aclose` ends its
    connections. Raises `ConfigurationError` without a key or with a URL that is none.
    """

    def __init__(
        self,
        *,
        bearer_token: str | None = None,
        base_url: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, str] | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        config = resolve_config(
            bearer_token=bearer_token,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
        )
        self._transport = Transport(config, http_client)
        self.api = AsyncRunloopAPI(self._transport)
        """The REST API, one method per operation."""

    def __repr__(self) -> str:
        return f"<AsyncRunloopSDK {self._transport.config.base_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a client passed as `http_client` stays open."""
        await self._transport.aclose()

    @cached_property
    def devbox(self) -> AsyncDevboxOps:
        """Create and find devboxes."""
        from .resources.devbox import AsyncDevboxOps

        return AsyncDevboxOps(self.api)

    @cached_property
    def blueprint(self) -> AsyncBlueprintOps:
        """Build and find blueprints."""
        from .resources.blueprint import AsyncBlueprintOps

        return AsyncBlueprintOps(self.api)

    @cached_property
    def snapshot(self) -> AsyncSnapshotOps:
        """Find snapshots."""
        from .resources.snapshot import AsyncSnapshotOps

        return AsyncSnapshotOps(self.api)

    @cached_property
    def storage_object(self) -> AsyncStorageObjectOps:
        """Upload and find storage objects."""
        from .resources.storage_object import AsyncStorageObjectOps

        return AsyncStorageObjectOps(self.api)

    @cached_property
    def secret(self) -> AsyncSecretOps:
        """Create and find secrets."""
        from .resources.secret import AsyncSecretOps

        return AsyncSecretOps(self.api)

    @cached_property
    def network_policy(self) -> AsyncNetworkPolicyOps:
        """Create and find network policies."""
        from .resources.network_policy import AsyncNetworkPolicyOps

        return AsyncNetworkPolicyOps(self.api)

    @cached_property
    def gateway_config(self) -> AsyncGatewayConfigOps:
        """Create and find gateway configs."""
        from .resources.gateway_config import AsyncGatewayConfigOps

        return AsyncGatewayConfigOps(self.api)

    @cached_property
    def mcp_config(self) -> AsyncMcpConfigOps:
        """Create and find MCP configs."""
        from .resources.mcp_config import AsyncMcpConfigOps

        return AsyncMcpConfigOps(self.api)

    @cached_property
    def axon(self) -> AsyncAxonOps:
        """Create and find axons."""
        from .resources.axon import AsyncAxonOps

        return AsyncAxonOps(self.api)
