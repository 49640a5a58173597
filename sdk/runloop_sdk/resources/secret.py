"""Secrets: values for devboxes that the API never returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._pagination import ResourceListing
from ..params._options import LongRequestOptions, RequestOptions
from ..params.secrets import SecretListParams

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.secrets import SecretView


@check_arguments
class AsyncSecret:
    """One secret, by its name."""

    def __init__(self, api: AsyncRunloopAPI, name: str, id: str | None = None) -> None:  # noqa: A002 - the API's word
        self._api = api
        self._name = name
        self._id = id

    def __repr__(self) -> str:
        return f"<AsyncSecret {self._name}>"

    @property
    def name(self) -> str:
        """The secret's name."""
        return self._name

    @property
    def id(self) -> str | None:
        """The secret's id, if known."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> SecretView:
        """The secret without its value (`GET /v1/secrets/{name}`)."""
        return await self._api.secrets.retrieve(self._name, **options)

    async def update(self, value: str, **options: Unpack[LongRequestOptions]) -> SecretView:
        """The secret with a new value (`POST /v1/secrets/{name}`)."""
        return await self._api.secrets.update(self._name, value=value, **options)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> SecretView:
        """Delete the secret (`POST /v1/secrets/{name}/delete`)."""
        return await self._api.secrets.delete(self._name, **options)


@check_arguments
class AsyncSecretById:
    """One secret, by its id."""

    def __init__(self, api: AsyncRunloopAPI, id: str) -> None:  # noqa: A002 - the API's word
        self._api = api
        self._id = id

    def __repr__(self) -> str:
        return f"<AsyncSecretById {self._id}>"

    @property
    def id(self) -> str:
        """The secret's id."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> SecretView:
        """The secret without its value (`GET /v1/secrets/id/{id}`)."""
        return await self._api.secrets.retrieve_by_id(self._id, **options)

    async def update(self, value: str, **options: Unpack[LongRequestOptions]) -> SecretView:
        """The secret with a new value (`POST /v1/secrets/id/{id}/update`)."""
        return await self._api.secrets.update_by_id(self._id, value=value, **options)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> SecretView:
        """Delete the secret (`POST /v1/secrets/id/{id}/delete`)."""
        return await self._api.secrets.delete_by_id(self._id, **options)


@check_arguments
class AsyncSecretOps:
    """`sdk.secret`: create and find secrets."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, name: str, value: str, **options: Unpack[LongRequestOptions]) -> AsyncSecret:
        """A new secret (`POST /v1/secrets`)."""
        return self._wrap(await self._api.secrets.create(name=name, value=value, **options))

    def from_name(self, name: str) -> AsyncSecret:
        """The secret of this name; sends no request."""
        return AsyncSecret(self._api, name)

    def from_id(self, id: str) -> AsyncSecretById:  # noqa: A002 - the API's word
        """The secret with this id; sends no request."""
        return AsyncSecretById(self._api, id)

    async def update(self, secret: AsyncSecret | str, value: str, **options: Unpack[LongRequestOptions]) -> AsyncSecret:
        """The secret, or the one of this name, with a new value."""
        return self._wrap(await self._api.secrets.update(_name(secret), value=value, **options))

    def list(self, **options: Unpack[SecretListParams]) -> ResourceListing[SecretView, AsyncSecret]:
        """Secrets without their values: `await` gives a list of one page, or `async for` (`GET /v1/secrets`)."""
        return ResourceListing(self._api.secrets.list(**options), self._wrap)

    async def delete(self, secret: AsyncSecret | str, **options: Unpack[LongRequestOptions]) -> SecretView:
        """The secret, or the one of this name, deleted."""
        return await self._api.secrets.delete(_name(secret), **options)

    def _wrap(self, view: SecretView) -> AsyncSecret:
        return AsyncSecret(self._api, view.name, view.id)


def _name(secret: AsyncSecret | str) -> str:
    return secret.name if isinstance(secret, AsyncSecret) else secret
