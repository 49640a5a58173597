"""`.api.accounts`: who one is to the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..models.accounts import AccountView
from ._resource import APIResource

if TYPE_CHECKING:
    from ..params._options import RequestOptions


class AccountsAPI(APIResource):
    """Operations on accounts."""

    async def me(self, **options: Unpack[RequestOptions]) -> AccountView:
        """The account of the API key (`GET /v1/accounts/me`)."""
        return await self._get("/v1/accounts/me", options, AccountView)
