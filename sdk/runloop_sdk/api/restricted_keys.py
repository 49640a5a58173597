"""`.api.restricted_keys`: API keys with restricted permissions."""

from __future__ import annotations

from typing import Unpack

from .. import models
from ..params.restricted_keys import RestrictedKeyCreateParams
from ._resource import APIResource


class RestrictedKeysAPI(APIResource):
    """Operations on restricted keys."""

    async def create(self, **params: Unpack[RestrictedKeyCreateParams]) -> models.RestrictedKeyCreatedView:
        """A new restricted key, whose secret is only returned here (`POST /v1/restricted_keys`)."""
        return await self._post("/v1/restricted_keys", params, lambda: models.RestrictedKeyCreatedView)
