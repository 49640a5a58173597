"""Axons: streams of events, each with a SQL database."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._axon_events import AxonEventStream
from .._errors import NotFoundError
from .._pagination import ResourceListing
from ..params._options import RequestOptions
from ..params.axons import (
    AxonCreateParams,
    AxonListParams,
    AxonPublishParams,
    AxonSubscribeSseParams,
    SqlBatchParams,
    SqlQueryParams,
)

if TYPE_CHECKING:
    from .._event_stream import EventResponse, EventStream
    from ..api._client import AsyncRunloopAPI
    from ..models.axons import AxonEventView, AxonView, PublishResultView, SqlBatchResultView, SqlQueryResultView


@check_arguments
class AsyncAxonSqlOps:
    """`axon.sql`: the axon's database."""

    def __init__(self, api: AsyncRunloopAPI, axon_id: str) -> None:
        self._api = api
        self._axon_id = axon_id

    async def query(self, **params: Unpack[SqlQueryParams]) -> SqlQueryResultView:
        """The rows of one statement (`POST /v1/axons/{id}/sql/query`)."""
        return await self._api.axons.sql.query(self._axon_id, **params)

    async def batch(self, **params: Unpack[SqlBatchParams]) -> SqlBatchResultView:
        """The result of each of several statements, in one transaction (`POST /v1/axons/{id}/sql/batch`)."""
        return await self._api.axons.sql.batch(self._axon_id, **params)


@check_arguments
class AsyncAxon:
    """One axon."""

    def __init__(self, api: AsyncRunloopAPI, axon_id: str) -> None:
        self._api = api
        self._id = axon_id

    def __repr__(self) -> str:
        return f"<AsyncAxon {self._id}>"

    @property
    def id(self) -> str:
        """The axon's id."""
        return self._id

    @cached_property
    def sql(self) -> AsyncAxonSqlOps:
        """Its database."""
        return AsyncAxonSqlOps(self._api, self._id)

    async def get_info(self, **options: Unpack[RequestOptions]) -> AxonView:
        """The axon as it is now (`GET /v1/axons/{id}`)."""
        return await self._api.axons.retrieve(self._id, **options)

    async def publish(self, **params: Unpack[AxonPublishParams]) -> PublishResultView:
        """Add an event (`POST /v1/axons/{id}/publish`)."""
        return await self._api.axons.publish(self._id, **params)

    async def subscribe_sse(self, **params: Unpack[AxonSubscribeSseParams]) -> EventStream[AxonEventView]:
        """Its events as they occur, resumed after every cut and silence (`GET /v1/axons/{id}/subscribe/sse`).

        Ends when the axon is deleted; raises `NotFoundError` if that happens while the stream is silent or cut. Raises
        `StreamError` if neither the events nor the state of the axon can be requested any more.
        """

        async def subscribe(after: int | None) -> EventResponse[AxonEventView]:
            params["after_sequence"] = after
            return await self._api.axons.subscribe_sse(self._id, **params)

        return AxonEventStream(
            subscribe,
            self._is_gone,
            after=params.get("after_sequence"),
            max_retries=self._api.config.max_retries,
        )

    async def _is_gone(self) -> bool:
        try:
            return (await self.get_info()).deleted_at_ms is not None
        except NotFoundError:
            return True


@check_arguments
class AsyncAxonOps:
    """`sdk.axon`: create and find axons."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, **params: Unpack[AxonCreateParams]) -> AsyncAxon:
        """A new axon (`POST /v1/axons`)."""
        return AsyncAxon(self._api, (await self._api.axons.create(**params)).id)

    def from_id(self, axon_id: str) -> AsyncAxon:
        """The axon with this id; sends no request."""
        return AsyncAxon(self._api, axon_id)

    def list(self, **params: Unpack[AxonListParams]) -> ResourceListing[AxonView, AsyncAxon]:
        """Axons, newest first: `await` gives a list of one page, or `async for` (`GET /v1/axons`)."""
        return ResourceListing(self._api.axons.list(**params), lambda view: AsyncAxon(self._api, view.id))
