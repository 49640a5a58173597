"""`.api.secrets`: secrets, by name or by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .. import models
from ..params._options import LongRequestOptions, RequestOptions
from ..params.secrets import SecretCreateParams, SecretListParams, SecretUpdateByIDParams, SecretUpdateParams
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._pagination import Listing


class SecretsAPI(APIResource):
    """Operations on secrets."""

    async def create(self, **params: Unpack[SecretCreateParams]) -> models.SecretView:
        """A new secret (`POST /v1/secrets`)."""
        return await self._post("/v1/secrets", params, lambda: models.SecretView)

    def list(self, **params: Unpack[SecretListParams]) -> Listing[models.SecretView]:
        """Secrets, without their values (`GET /v1/secrets`)."""
        return self._list("/v1/secrets", params, lambda: models.SecretView, items="secrets")

    async def retrieve(self, name: str, **options: Unpack[RequestOptions]) -> models.SecretView:
        """The secret of this name (`GET /v1/secrets/{name}`)."""
        return await self._get(path_of("/v1/secrets/{}", name), options, lambda: models.SecretView)

    async def update(self, name: str, **params: Unpack[SecretUpdateParams]) -> models.SecretView:
        """The secret of this name with a new value (`POST /v1/secrets/{name}`)."""
        return await self._post(path_of("/v1/secrets/{}", name), params, lambda: models.SecretView)

    async def delete(self, name: str, **options: Unpack[LongRequestOptions]) -> models.SecretView:
        """Delete the secret of this name (`POST /v1/secrets/{name}/delete`)."""
        return await self._post_empty(path_of("/v1/secrets/{}/delete", name), options, lambda: models.SecretView)

    async def retrieve_by_id(self, id: str, **options: Unpack[RequestOptions]) -> models.SecretView:
        """The secret with this id (`GET /v1/secrets/id/{id}`)."""
        return await self._get(path_of("/v1/secrets/id/{}", id), options, lambda: models.SecretView)

    async def update_by_id(self, id: str, **params: Unpack[SecretUpdateByIDParams]) -> models.SecretView:
        """The secret with this id with a new value (`POST /v1/secrets/id/{id}/update`)."""
        return await self._post(path_of("/v1/secrets/id/{}/update", id), params, lambda: models.SecretView)

    async def delete_by_id(self, id: str, **options: Unpack[LongRequestOptions]) -> models.SecretView:
        """Delete the secret with this id (`POST /v1/secrets/id/{id}/delete`)."""
        return await self._post_empty(path_of("/v1/secrets/id/{}/delete", id), options, lambda: models.SecretView)
