"""`.api.apikeys`: API keys."""

from __future__ import annotations

from typing import Unpack

from .. import models
from ..params.apikeys import ApikeyCreateParams
from ._resource import APIResource


class ApikeysAPI(APIResource):
    """Operations on API keys."""

    async def create(self, **params: Unpack[ApikeyCreateParams]) -> models.APIKeyCreatedView:
        """A new API key, whose secret is only returned here (`POST /v1/apikeys`)."""
        return await self._post("/v1/apikeys", params, lambda: models.APIKeyCreatedView)
