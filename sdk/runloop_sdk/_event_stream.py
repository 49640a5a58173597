"""Server-sent events, read as views."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import cache
from typing import Generic, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from ._errors import APIResponseError, APIStatusError, status_error
from ._sse import ServerSentEvent, SSEDecoder
from ._transport import Request, Transport
from .models._view import View

V = TypeVar("V", bound=View)

_ALIVE_SECONDS = 1.0
_BATCH = 100
"""So few views at once that they are gone before the garbage collector looks at them twice."""


class EventStream(Generic[V]):
    """Events, each as a view; asks when first read, `aclose` ends it early."""

    def __init__(self, batches: AsyncGenerator[list[V], None]) -> None:
        self._batches = batches
        self._events = self._one_by_one()

    def __aiter__(self) -> AsyncIterator[V]:
        return self._events

    async def __anext__(self) -> V:
        return await self._events.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and free its connection."""
        await self._events.aclose()
        await self._batches.aclose()

    def batches(self) -> AsyncIterator[list[V]]:
        """The events in lists, each what came at once: for readers that cannot afford a step for each event."""
        return self._batches

    async def _one_by_one(self) -> AsyncGenerator[V, None]:
        async for batch in self._batches:
            for view in batch:
                yield view


class EventResponse(EventStream[V]):
    """The events of one response; ends with its body.

    An `error` event raises the `APIStatusError` it tells of; a cut raises `APIConnectionError`, and so long a silence
    that it may be one `APITimeoutError`.
    """

    def __init__(self, transport: Transport, request: Request, view: type[V]) -> None:
        super().__init__(self._read(transport))
        self._request = request
        self._view = view
        self.opened: float | None = None
        """When the answer began (`time.monotonic`)."""

    @property
    def lived(self) -> bool:
        """Whether it was open so long that it counts as one that worked: there may be nothing to tell."""
        return self.opened is not None and time.monotonic() - self.opened >= _ALIVE_SECONDS

    async def _read(self, transport: Transport) -> AsyncGenerator[list[V], None]:
        decoder = SSEDecoder()
        async with transport.open(self._request) as answer:
            self.opened = time.monotonic()
            async with aclosing(transport.body(answer, self._request)) as pieces:
                async for piece in pieces:
                    for found in decoder.feed_fast(piece):
                        for batch in self._views(found):
                            yield batch

    def _views(self, found: ServerSentEvent | list[bytes]) -> Iterator[list[V]]:
        if isinstance(found, ServerSentEvent):
            yield [self._parse(found)]
        else:
            for start in range(0, len(found), _BATCH):
                yield from self._parse_all(found[start : start + _BATCH])

    def _parse_all(self, messages: list[bytes]) -> Iterator[list[V]]:
        try:
            views = _list_of(self._view).validate_json(b"[%b]" % b",".join(messages))
        except ValidationError:
            views = []
        if len(views) == len(messages):
            yield views
        else:  # one of them is no view: those before it shall be seen
            for data in messages:
                yield [self._parse(ServerSentEvent("message", data.decode(errors="replace")))]

    def _parse(self, event: ServerSentEvent) -> V:
        if event.event == "error":
            raise self._error(event.data)
        try:
            return self._view.model_validate_json(event.data)
        except ValidationError:
            asked, message = self._request, f"{self._request.path} sent an event that is no {self._view.__name__}"
            raise APIResponseError(message, method=asked.method, path=asked.path) from None

    def _error(self, data: str) -> APIStatusError:
        try:
            code = int(json.loads(data)["code"])
        except (ValueError, TypeError, KeyError, RecursionError):
            code = 500
        return status_error(code, {}, data.encode(), method=self._request.method, path=self._request.path)


@cache
def _list_of(view: type[V]) -> TypeAdapter[list[V]]:
    return TypeAdapter(list[view])  # type: ignore[valid-type]  # a type known only when it runs
