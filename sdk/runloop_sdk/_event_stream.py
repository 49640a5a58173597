"""Streams of server-sent events, parsed into views."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import cache
from typing import Generic, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from ._errors import APIResponseError, APIStatusError, APITimeoutError, status_error
from ._sse import ServerSentEvent, SSEDecoder
from ._transport import Request, Transport
from .models._view import View

V = TypeVar("V", bound=View)

_STABLE_SECONDS = 1.0
_BATCH = 100
"""Views that are parsed at once; few enough to be freed before the garbage collector promotes them."""
_BATCH_BYTES = 128 * 1024
"""About as many bytes are parsed at once: a millisecond or two until another callback of the loop has its turn."""


class EventStream(Generic[V]):
    """An async iterator of events as views. The request is sent at the first read; `aclose` ends it early."""

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
        """End the stream and release its connection."""
        await self._events.aclose()
        await self._batches.aclose()

    def batches(self) -> AsyncIterator[list[V]]:
        """The events in lists of those that arrived together; much faster than one at a time."""
        return self._batches

    async def _one_by_one(self) -> AsyncGenerator[V, None]:
        async for batch in self._batches:
            for view in batch:
                yield view


class EventResponse(EventStream[V]):
    """The events of one response; ends with its body.

    Raises the `APIStatusError` that an `error` event describes, `APIConnectionError` if the connection is cut, and
    `APITimeoutError` after a silence of `STREAM_TIMEOUT`, as the connection may be dead.
    """

    def __init__(self, transport: Transport, request: Request, view: type[V]) -> None:
        super().__init__(self._read(transport))
        self._request = request
        self._view = view
        self.opened: float | None = None
        """The `time.monotonic()` at which the answer began; None before that."""

    @property
    def was_stable(self) -> bool:
        """True if it was open for at least a second; then it counts as a success, even without any event."""
        return self.opened is not None and time.monotonic() - self.opened >= _STABLE_SECONDS

    async def _read(self, transport: Transport) -> AsyncGenerator[list[V], None]:
        decoder = SSEDecoder()
        async with transport.open(self._request) as answer:
            self.opened = time.monotonic()
            async with aclosing(transport.body(answer, self._request)) as pieces:
                async for piece in pieces:
                    await transport.turns.next()
                    for decoded in decoder.feed_fast(piece):
                        for batch in self._views(decoded):
                            yield batch
                            await transport.turns.next()

    def _views(self, decoded: ServerSentEvent | list[bytes]) -> Iterator[list[V]]:
        if isinstance(decoded, ServerSentEvent):
            yield [self._parse(decoded)]
        else:
            mean = sum(map(len, decoded)) // len(decoded) + 1
            batch = min(_BATCH, max(_BATCH_BYTES // mean, 1))
            for start in range(0, len(decoded), batch):
                yield from self._parse_all(decoded[start : start + batch])

    def _parse_all(self, messages: list[bytes]) -> Iterator[list[V]]:
        try:  # one call for many messages is several times as fast as one for each
            views = _list_of(self._view).validate_json(b"[%b]" % b",".join(messages))
        except ValidationError:
            views = []
        if len(views) == len(messages):  # a message such as "{},{}" would become two views
            yield views
        else:  # one of them is invalid: yield those before it, and raise at it
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
            code = 500  # an error without a code: treated as one of the service, which may be retried
        return status_error(code, {}, data.encode(), method=self._request.method, path=self._request.path)


class EventSubscription(EventStream[V]):
    """The events that `subscribe` requests, for as long as the service sends any: silence is normal here.

    After a silence, which a dead connection would look like, they are requested again.
    """

    def __init__(self, subscribe: Callable[[], Awaitable[EventResponse[V]]]) -> None:
        super().__init__(self._renewed(subscribe))

    async def _renewed(self, subscribe: Callable[[], Awaitable[EventResponse[V]]]) -> AsyncGenerator[list[V], None]:
        is_silent = True
        while is_silent:
            is_silent, events = False, await subscribe()
            try:
                async with events:
                    async for batch in events.batches():
                        yield batch
            except APITimeoutError:
                if events.opened is None:  # no silence: the service cannot be reached, and has been retried
                    raise
                is_silent = True


@cache
def _list_of(view: type[V]) -> TypeAdapter[list[V]]:
    return TypeAdapter(list[view])  # type: ignore[valid-type]  # a type known only when it runs
