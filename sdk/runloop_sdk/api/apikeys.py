"""`.api.apikeys`: API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..models.apikeys import APIKeyCreatedView
from ._resource import APIResource

if TYPE_CHECKING:
    from ..params.apikeys import ApikeyCreateParams


class ApikeysAPI(APIResource):
    """Operations on API keys."""

    async def create(self, **params: Unpack[ApikeyCreateParams]) -> APIKeyCreatedView:
        """A new API key, told this once (`POST /v1/apikeys`)."""
        return await self._post("/v1/apikeys", params, APIKeyCreatedView)
