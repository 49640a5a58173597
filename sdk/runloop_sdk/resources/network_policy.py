"""Network policies: the hosts that devboxes may connect to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._pagination import ResourceListing
from ..params._options import LongRequestOptions, RequestOptions
from ..params.network_policies import NetworkPolicyCreateParams, NetworkPolicyListParams, NetworkPolicyUpdateParams

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.network_policies import NetworkPolicyView


@check_arguments
class AsyncNetworkPolicy:
    """One network policy."""

    def __init__(self, api: AsyncRunloopAPI, network_policy_id: str) -> None:
        self._api = api
        self._id = network_policy_id

    def __repr__(self) -> str:
        return f"<AsyncNetworkPolicy {self._id}>"

    @property
    def id(self) -> str:
        """The network policy's id."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> NetworkPolicyView:
        """The network policy as it is now (`GET /v1/network-policies/{id}`)."""
        return await self._api.network_policies.retrieve(self._id, **options)

    async def update(self, **params: Unpack[NetworkPolicyUpdateParams]) -> NetworkPolicyView:
        """Update the network policy (`POST /v1/network-policies/{id}`)."""
        return await self._api.network_policies.update(self._id, **params)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> NetworkPolicyView:
        """Delete the network policy (`POST /v1/network-policies/{id}/delete`)."""
        return await self._api.network_policies.delete(self._id, **options)


@check_arguments
class AsyncNetworkPolicyOps:
    """`sdk.network_policy`: create and find network policies."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, **params: Unpack[NetworkPolicyCreateParams]) -> AsyncNetworkPolicy:
        """A new network policy (`POST /v1/network-policies`)."""
        return AsyncNetworkPolicy(self._api, (await self._api.network_policies.create(**params)).id)

    def from_id(self, network_policy_id: str) -> AsyncNetworkPolicy:
        """The network policy with this id; sends no request."""
        return AsyncNetworkPolicy(self._api, network_policy_id)

    def list(self, **params: Unpack[NetworkPolicyListParams]) -> ResourceListing[NetworkPolicyView, AsyncNetworkPolicy]:
        """Network policies: `await` a list of one page, or `async for` (`GET /v1/network-policies`)."""
        return ResourceListing(
            self._api.network_policies.list(**params), lambda view: AsyncNetworkPolicy(self._api, view.id)
        )
