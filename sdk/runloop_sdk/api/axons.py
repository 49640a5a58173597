"""`.api.axons`: ordered streams of events."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from .. import models
from ..params._options import LongRequestOptions, RequestOptions
from ..params.axons import (
    AxonCreateParams,
    AxonListParams,
    AxonPublishParams,
    AxonSubscribeSseParams,
    AxonUpdateParams,
    EventListParams,
    SqlBatchParams,
    SqlQueryParams,
)
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._event_stream import EventResponse
    from .._pagination import Listing


class AxonsAPI(APIResource):
    """Operations on axons."""

    @cached_property
    def events(self) -> AxonEventsAPI:
        """Events of an axon."""
        return AxonEventsAPI(self._transport)

    @cached_property
    def sql(self) -> AxonSqlAPI:
        """The database of an axon."""
        return AxonSqlAPI(self._transport)

    async def create(self, **params: Unpack[AxonCreateParams]) -> models.AxonView:
        """A new axon (`POST /v1/axons`)."""
        return await self._post("/v1/axons", params, lambda: models.AxonView)

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> models.AxonView:
        """An axon as it is now (`GET /v1/axons/{id}`)."""
        return await self._get(path_of("/v1/axons/{}", id), options, lambda: models.AxonView)

    async def update(self, id: str, **params: Unpack[AxonUpdateParams]) -> models.AxonView:
        """The axon with new metadata (`POST /v1/axons/{id}`)."""
        return await self._post(path_of("/v1/axons/{}", id), params, lambda: models.AxonView)

    def list(self, **params: Unpack[AxonListParams]) -> Listing[models.AxonView]:
        """Axons, newest first (`GET /v1/axons`)."""
        return self._list("/v1/axons", params, lambda: models.AxonView, items="axons")

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> object:
        """Delete an axon (`DELETE /v1/axons/{id}`)."""
        return await self._send_for_nothing(path_of("/v1/axons/{}", id), options, method="DELETE")

    async def publish(self, id: str, **params: Unpack[AxonPublishParams]) -> models.PublishResultView:
        """Add an event; its sequence number and time (`POST /v1/axons/{id}/publish`)."""
        return await self._post(path_of("/v1/axons/{}/publish", id), params, lambda: models.PublishResultView)

    async def subscribe_sse(
        self, id: str, **params: Unpack[AxonSubscribeSseParams]
    ) -> EventResponse[models.AxonEventView]:
        """The events of an axon as they occur (`GET /v1/axons/{id}/subscribe/sse`)."""
        return await self._events(path_of("/v1/axons/{}/subscribe/sse", id), params, lambda: models.AxonEventView)


class AxonEventsAPI(APIResource):
    """`.api.axons.events`."""

    def list(self, id: str, **params: Unpack[EventListParams]) -> Listing[models.AxonEventView]:
        """Events of an axon (`GET /v1/axons/{id}/events`)."""
        path = path_of("/v1/axons/{}/events", id)
        return self._list(path, params, lambda: models.AxonEventView, items="events", key="sequence")


class AxonSqlAPI(APIResource):
    """`.api.axons.sql`."""

    async def query(self, id: str, **params: Unpack[SqlQueryParams]) -> models.SqlQueryResultView:
        """The rows of one SQL statement (`POST /v1/axons/{id}/sql/query`)."""
        return await self._post(path_of("/v1/axons/{}/sql/query", id), params, lambda: models.SqlQueryResultView)

    async def batch(self, id: str, **params: Unpack[SqlBatchParams]) -> models.SqlBatchResultView:
        """The results of several SQL statements in one transaction (`POST /v1/axons/{id}/sql/batch`)."""
        return await self._post(path_of("/v1/axons/{}/sql/batch", id), params, lambda: models.SqlBatchResultView)
