"""`.api.network_policies`: the hosts that devboxes may connect to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .. import models
from ..params._options import LongRequestOptions, RequestOptions
from ..params.network_policies import NetworkPolicyCreateParams, NetworkPolicyListParams, NetworkPolicyUpdateParams
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._pagination import Listing


class NetworkPoliciesAPI(APIResource):
    """Operations on network policies."""

    async def create(self, **params: Unpack[NetworkPolicyCreateParams]) -> models.NetworkPolicyView:
        """A new network policy (`POST /v1/network-policies`)."""
        return await self._post("/v1/network-policies", params, lambda: models.NetworkPolicyView)

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> models.NetworkPolicyView:
        """A network policy as it is now (`GET /v1/network-policies/{id}`)."""
        return await self._get(path_of("/v1/network-policies/{}", id), options, lambda: models.NetworkPolicyView)

    async def update(self, id: str, **params: Unpack[NetworkPolicyUpdateParams]) -> models.NetworkPolicyView:
        """Update the network policy (`POST /v1/network-policies/{id}`)."""
        return await self._post(path_of("/v1/network-policies/{}", id), params, lambda: models.NetworkPolicyView)

    def list(self, **params: Unpack[NetworkPolicyListParams]) -> Listing[models.NetworkPolicyView]:
        """Network policies, newest first (`GET /v1/network-policies`)."""
        return self._list("/v1/network-policies", params, lambda: models.NetworkPolicyView, items="network_policies")

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> models.NetworkPolicyView:
        """Delete the network policy (`POST /v1/network-policies/{id}/delete`)."""
        return await self._post_empty(
            path_of("/v1/network-policies/{}/delete", id), options, lambda: models.NetworkPolicyView
        )
