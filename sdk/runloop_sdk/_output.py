"""Reads a command's output as it comes: resumed after every cut, stdout and stderr merged in their true order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from ._errors import APIConnectionError, APIStatusError, NotFoundError
from ._resume import NOT_ASKED, Reading, Resumption, SourceState
from ._streams import BOTH, Frame, Merger, OutputChunk, StreamName, StreamPosition

if TYPE_CHECKING:
    from ._event_stream import EventResponse
    from .models.executions import DevboxAsyncExecutionDetailView, ExecutionUpdateChunk

_READY_LIMIT = 8
_HELD_LIMIT = 256
_HEAD_START = 0.005
_NOT_FOUND_PAUSE = 0.05


class OutputReader:
    """Reads the output streams of one execution to their end and gives them as one.

    `open_stream(stream, offset)` asks for a stream; `ended(seconds)` gives the command's view if it ends within that
    time, so that a body that a proxy closed early is not taken for the end. What is cut or quiet is resumed as
    `Resumption` decides. While the request `starting` that starts the command is on its way, the streams are asked
    for already, and one that is not found is asked for again.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamName, int], Awaitable[EventResponse[ExecutionUpdateChunk]]],
        ended: Callable[[float], Awaitable[DevboxAsyncExecutionDetailView | None]],
        *,
        streams: Sequence[StreamName] = BOTH,
        max_retries: int,
        starting: asyncio.Future[None] | None = None,
    ) -> None:
        self._starting = starting
        self._open_stream = open_stream
        self._ended = ended
        self._max_retries = max_retries
        self._links = {stream: _Link() for stream in streams}
        self._merger = Merger(tuple(streams))
        self._ready: deque[OutputChunk] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def lost_for(self) -> float:
        """Seconds since the connection to a stream was lost that is not there again; 0 while all are there."""
        return max((link.lost_for for link in self._links.values()), default=0.0)

    async def chunks(self) -> AsyncGenerator[OutputChunk, None]:
        """The output, piece by piece."""
        pumps = [asyncio.create_task(self._pump(stream)) for stream in self._links]
        for pump in pumps:
            pump.add_done_callback(lambda _: self._changed.set())
        try:
            while not (all(pump.done() for pump in pumps) and not self._ready):
                await self._changed.wait()
                self._changed.clear()
                while self._ready:
                    yield self._ready.popleft()
                self._room.set()
                _raise_first_failure(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, stream: StreamName) -> None:
        link = self._links[stream]
        async with aclosing(self._frames(stream, link)) as batches:
            async for frames in batches:
                self._show(self._merger.push_all(stream, frames))
                await self._wait_for_room(stream)
        link.end()
        self._show(self._merger.close(stream))

    def _show(self, chunks: list[OutputChunk]) -> None:
        if chunks:
            self._ready.extend(chunks)
            self._changed.set()

    async def _wait_for_room(self, stream: StreamName) -> None:
        while len(self._ready) > _READY_LIMIT or self._merger.held(stream) > _HELD_LIMIT:
            self._room.clear()
            await self._room.wait()

    async def _frames(self, stream: StreamName, link: _Link) -> AsyncGenerator[list[Frame], None]:
        position, resumption = StreamPosition(), Resumption(stream, self._max_retries)
        await self._give_head_start(_HEAD_START)
        while True:
            before, error, is_starting = position.characters, None, self._is_starting
            events = link.events = await self._open_stream(stream, position.resume())
            try:
                async with events:
                    async for batch in events.batches():
                        yield [(position.take(frame.output, frame.offset), frame.span) for frame in batch]
            except (APIConnectionError, APIStatusError) as caught:
                error = caught
            if is_starting and isinstance(error, NotFoundError):
                await self._give_head_start(_NOT_FOUND_PAUSE)
                continue
            link.lose()
            reading = Reading(error, position.characters > before, events.lived)
            state = await self._state(stream, position, resumption.question(reading))
            pause = resumption.next(reading, state)
            if pause is None:
                return
            await asyncio.sleep(pause)

    @property
    def _is_starting(self) -> bool:
        return self._starting is not None and not self._starting.done()

    async def _give_head_start(self, seconds: float) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting], timeout=seconds)
            if self._starting.done():
                self._starting.result()

    async def _state(self, stream: StreamName, position: StreamPosition, seconds: float | None) -> SourceState:
        if seconds is None:
            return NOT_ASKED
        try:
            view = await self._ended(seconds)
        except (APIConnectionError, APIStatusError) as error:
            return SourceState(error=error)
        return SourceState(view is not None, None if view is None else _is_whole(view, stream, position))


class _Link:
    """The connection to one stream, which comes and goes."""

    def __init__(self) -> None:
        self.events: EventResponse[ExecutionUpdateChunk] | None = None
        self._lost_at: float | None = None

    @property
    def lost_for(self) -> float:
        """Seconds since it was lost; 0 while it is there, and before it was there for the first time."""
        return 0.0 if self._lost_at is None or self._is_there else time.monotonic() - self._lost_at

    @property
    def _is_there(self) -> bool:
        return self.events is not None and self.events.opened is not None

    def lose(self) -> None:
        """It has ended, or could not be had again."""
        if self._lost_at is None or self._is_there:
            self._lost_at = time.monotonic()
        self.events = None

    def end(self) -> None:
        """It is needed no more."""
        self._lost_at = None


def _is_whole(view: DevboxAsyncExecutionDetailView, stream: StreamName, position: StreamPosition) -> bool | None:
    """Whether all of an ended command's output has come; None when its view does not have all of it to compare."""
    text, cut = (view.stdout, view.stdout_truncated) if stream == "stdout" else (view.stderr, view.stderr_truncated)
    return None if text is None or cut else len(text) <= position.characters


def _raise_first_failure(pumps: Sequence[asyncio.Task[None]]) -> None:
    for pump in pumps:
        if pump.done() and not pump.cancelled() and (error := pump.exception()) is not None:
            raise error
