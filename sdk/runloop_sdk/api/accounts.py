"""`.api.accounts`: the account of the API key."""

from __future__ import annotations

from typing import Unpack

from .. import models
from ..params._options import RequestOptions
from ._resource import APIResource


class AccountsAPI(APIResource):
    """Operations on accounts."""

    async def me(self, **options: Unpack[RequestOptions]) -> models.AccountView:
        """The account of the API key (`GET /v1/accounts/me`)."""
        return await self._get("/v1/accounts/me", options, lambda: models.AccountView)
