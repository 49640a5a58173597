"""`sdk.api`: the whole REST API."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._config import ClientConfig
    from .._transport import Dependent, Transport
    from .accounts import AccountsAPI
    from .apikeys import ApikeysAPI
    from .axons import AxonsAPI
    from .blueprints import BlueprintsAPI
    from .devboxes import DevboxesAPI
    from .gateway_configs import GatewayConfigsAPI
    from .mcp_configs import McpConfigsAPI
    from .network_policies import NetworkPoliciesAPI
    from .objects import ObjectsAPI
    from .pty import PtyAPI
    from .restricted_keys import RestrictedKeysAPI
    from .secrets import SecretsAPI


class AsyncRunloopAPI:
    """The REST API, with an attribute for each kind of resource, imported at its first use."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def config(self) -> ClientConfig:
        """The client's settings."""
        return self._transport.config

    @property
    def clock_ahead(self) -> float:
        """Seconds by which the service's clock is ahead of this machine's, to a second; 0 before the first answer."""
        return self._transport.clock_ahead

    async def adopt(self, dependent: Dependent) -> None:
        """Detach `dependent`, which has a connection of its own, when the client is closed."""
        await self._transport.adopt(dependent)

    async def get_json(self, path: str, query: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """The JSON answer of any route to a GET, not validated. Raises the same errors as the operations."""
        from ._resource import get_json

        return await get_json(self._transport, path, query or {}, timeout)

    async def post_json(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer of any route to a POST, not validated. Raises the same errors as the operations."""
        from ._resource import post_json

        return await post_json(self._transport, path, body)

    @cached_property
    def accounts(self) -> AccountsAPI:
        """The account of the API key."""
        from .accounts import AccountsAPI

        return AccountsAPI(self._transport)

    @cached_property
    def apikeys(self) -> ApikeysAPI:
        """API keys."""
        from .apikeys import ApikeysAPI

        return ApikeysAPI(self._transport)

    @cached_property
    def axons(self) -> AxonsAPI:
        """Ordered streams of events."""
        from .axons import AxonsAPI

        return AxonsAPI(self._transport)

    @cached_property
    def blueprints(self) -> BlueprintsAPI:
        """Disk images that devboxes start from."""
        from .blueprints import BlueprintsAPI

        return BlueprintsAPI(self._transport)

    @cached_property
    def devboxes(self) -> DevboxesAPI:
        """Devboxes, their commands, files, tunnels and disks."""
        from .devboxes import DevboxesAPI

        return DevboxesAPI(self._transport)

    @cached_property
    def gateway_configs(self) -> GatewayConfigsAPI:
        """APIs that devboxes call without knowing the credential."""
        from .gateway_configs import GatewayConfigsAPI

        return GatewayConfigsAPI(self._transport)

    @cached_property
    def mcp_configs(self) -> McpConfigsAPI:
        """Tool servers that devboxes call without knowing the credential."""
        from .mcp_configs import McpConfigsAPI

        return McpConfigsAPI(self._transport)

    @cached_property
    def network_policies(self) -> NetworkPoliciesAPI:
        """Network policies: the hosts that devboxes may connect to."""
        from .network_policies import NetworkPoliciesAPI

        return NetworkPoliciesAPI(self._transport)

    @cached_property
    def objects(self) -> ObjectsAPI:
        """Storage objects."""
        from .objects import ObjectsAPI

        return ObjectsAPI(self._transport)

    @cached_property
    def pty(self) -> PtyAPI:
        """Terminals."""
        from .pty import PtyAPI

        return PtyAPI(self._transport)

    @cached_property
    def restricted_keys(self) -> RestrictedKeysAPI:
        """API keys with restricted permissions."""
        from .restricted_keys import RestrictedKeysAPI

        return RestrictedKeysAPI(self._transport)

    @cached_property
    def secrets(self) -> SecretsAPI:
        """Secrets, by name or by id."""
        from .secrets import SecretsAPI

        return SecretsAPI(self._transport)
