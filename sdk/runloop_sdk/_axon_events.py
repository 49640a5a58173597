"""Reads the events of an axon, resumed after cuts and silences, with each event exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

from ._errors import APIConnectionError, APIStatusError
from ._event_stream import EventResponse, EventStream
from ._resume import UNKNOWN, Reading, Resumption, SourceState
from .models.axons import AxonEventView

if TYPE_CHECKING:
    from ._errors import RunloopError


class AxonEventStream(EventStream[AxonEventView]):
    """The events of one axon, until it is deleted.

    `subscribe(after)` requests the events after a sequence number, None for all. `is_gone()` is true if the axon was
    deleted; it is called after silences, and after regular ends, which may be those of a proxy. `Resumption` decides
    when to request the events again.
    """

    def __init__(
        self,
        subscribe: Callable[[int | None], Awaitable[EventResponse[AxonEventView]]],
        is_gone: Callable[[], Awaitable[bool]],
        *,
        after: int | None,
        max_retries: int,
    ) -> None:
        super().__init__(self._resumed(Resumption("event", max_retries)))
        self._subscribe = subscribe
        self._is_gone = is_gone
        self._last = after

    async def _resumed(self, resumption: Resumption) -> AsyncGenerator[list[AxonEventView], None]:
        pause: float | None = 0.0
        while pause is not None:
            await asyncio.sleep(pause)
            error: RunloopError | None = None
            before, events = self._last, await self._subscribe(self._last)
            try:
                async with events:
                    async for batch in events.batches():
                        yield self._new(batch)
            except (APIConnectionError, APIStatusError) as caught:
                error = caught
            reading = Reading(error, progressed=self._last != before, was_stable=events.was_stable)
            pause = resumption.next(reading, await self._state(reading, resumption))

    def _new(self, batch: list[AxonEventView]) -> list[AxonEventView]:
        new = []
        for event in batch:
            if self._last is None or event.sequence > self._last:  # a service may repeat the last ones after a cut
                self._last = event.sequence
                new.append(event)
        return new

    async def _state(self, reading: Reading, resumption: Resumption) -> SourceState:
        if resumption.end_timeout(reading) is None:
            return UNKNOWN
        try:
            is_gone = await self._is_gone()
        except (APIConnectionError, APIStatusError) as error:
            return SourceState(error=error)
        # An axon deleted during a silence may have had events before that: only a new request can show them.
        return SourceState(is_gone, whole=True if is_gone and reading.error is None else None)
