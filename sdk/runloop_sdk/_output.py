"""Reads the output of a command while it runs: resumes cut streams, and merges stdout and stderr in their order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from ._errors import APIConnectionError, APIStatusError, NotFoundError
from ._resume import UNKNOWN, Reading, Resumption, SourceState
from ._streams import BOTH, Frame, Merger, OutputChunk, StreamName, StreamPosition

if TYPE_CHECKING:
    from ._event_stream import EventResponse
    from .models.executions import DevboxAsyncExecutionDetailView, ExecutionUpdateChunk

_READY_LIMIT = 8
"""Chunks that may wait for the reader before the streams are no longer read."""
_HELD_LIMIT = 256
"""Frames of one stream that may wait for an earlier one of the other."""
# Seconds that the request which starts a command has ahead of those for its output.
_START_GRACE = 0.005
# Seconds until the output of a command that is not there yet is requested again.
_NOT_FOUND_PAUSE = 0.05


class OutputReader:
    """Reads the output streams of one execution to their end and merges them.

    `open_stream(stream, offset)` requests a stream from a byte offset. `ended(seconds)` returns the command's view if
    it ends within that time: only that, and no end of a response, is the end of the output, as proxies close
    responses early. Cut and silent streams are resumed as `Resumption` decides. `starting` is the request that starts
    the command; the streams are requested before it is answered, and again as long as they are not found.
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
        self._connections = {stream: _StreamConnection() for stream in streams}
        self._merger = Merger(tuple(streams))
        self._ready: deque[OutputChunk] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def lost_for(self) -> float:
        """Seconds for which a stream has had no connection; 0 while all have one."""
        return max((connection.lost_for for connection in self._connections.values()), default=0.0)

    async def chunks(self) -> AsyncGenerator[OutputChunk, None]:
        """The merged output; raises the error of the first stream that cannot be resumed."""
        pumps = [asyncio.create_task(self._pump(stream)) for stream in self._connections]
        for pump in pumps:
            pump.add_done_callback(lambda _: self._changed.set())
        try:
            # Chunks that are ready are yielded before an error is raised, so that no output received is lost.
            while not (all(pump.done() for pump in pumps) and not self._ready):
                await self._changed.wait()
                self._changed.clear()
                while self._ready:
                    yield self._ready.popleft()
                # Only now: the reader has taken what was ready. Before, a slow reader would not slow down the streams.
                self._room.set()
                _raise_first_failure(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, stream: StreamName) -> None:
        connection = self._connections[stream]
        async with aclosing(self._frames(stream, connection)) as batches:
            async for frames in batches:
                self._enqueue(self._merger.push_all(stream, frames))
                await self._wait_for_room(stream)
        connection.mark_finished()
        # What the other stream holds back may have waited for this one only.
        self._enqueue(self._merger.close(stream))

    def _enqueue(self, chunks: list[OutputChunk]) -> None:
        if chunks:
            self._ready.extend(chunks)
            self._changed.set()

    async def _wait_for_room(self, stream: StreamName) -> None:
        # The second limit is for a stream that runs ahead of the other: else all of it would wait in memory.
        while len(self._ready) > _READY_LIMIT or self._merger.held(stream) > _HELD_LIMIT:
            self._room.clear()
            await self._room.wait()

    async def _frames(self, stream: StreamName, connection: _StreamConnection) -> AsyncGenerator[list[Frame], None]:
        position, resumption = StreamPosition(), Resumption(stream, self._max_retries)
        # A request that overtakes the one that starts the command would only get a 404.
        await self._wait_for_start(_START_GRACE)
        while True:
            before, error, is_starting = position.characters, None, self._is_starting
            events = connection.events = await self._open_stream(stream, position.resume())
            try:
                async with events:
                    async for batch in events.batches():
                        yield [(position.take(frame.output, frame.offset), frame.span) for frame in batch]
            except (APIConnectionError, APIStatusError) as caught:
                error = caught
            # Only if the command was not started when the stream was requested: otherwise it is gone.
            if is_starting and isinstance(error, NotFoundError):
                await self._wait_for_start(_NOT_FOUND_PAUSE)
                continue
            connection.mark_lost()
            reading = Reading(error, position.characters > before, events.was_stable)
            state = await self._state(stream, position, resumption.end_timeout(reading))
            pause = resumption.next(reading, state)
            if pause is None:
                return
            await asyncio.sleep(pause)

    @property
    def _is_starting(self) -> bool:
        return self._starting is not None and not self._starting.done()

    async def _wait_for_start(self, seconds: float) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting], timeout=seconds)
            if self._starting.done():
                self._starting.result()  # raises what the start raised: there will be no output

    async def _state(self, stream: StreamName, position: StreamPosition, seconds: float | None) -> SourceState:
        if seconds is None:
            return UNKNOWN
        try:
            view = await self._ended(seconds)
        except (APIConnectionError, APIStatusError) as error:
            return SourceState(error=error)
        return SourceState(view is not None, None if view is None else _is_complete(view, stream, position))


class _StreamConnection:
    """The current connection to one stream, if there is one."""

    def __init__(self) -> None:
        self.events: EventResponse[ExecutionUpdateChunk] | None = None
        self._lost_at: float | None = None

    @property
    def lost_for(self) -> float:
        """Seconds since it was lost; 0 while it is open, and before it was opened for the first time."""
        return 0.0 if self._lost_at is None or self._is_open else time.monotonic() - self._lost_at

    @property
    def _is_open(self) -> bool:
        return self.events is not None and self.events.opened is not None

    def mark_lost(self) -> None:
        """Note that it was lost, or could not be opened again."""
        # Not anew for each attempt that fails: the time counts from the loss.
        if self._lost_at is None or self._is_open:
            self._lost_at = time.monotonic()
        self.events = None

    def mark_finished(self) -> None:
        """Note that it is no longer needed."""
        self._lost_at = None


def _is_complete(view: DevboxAsyncExecutionDetailView, stream: StreamName, position: StreamPosition) -> bool | None:
    """True if all output of an ended command was received; None if its view is cut and this cannot be compared."""
    text, cut = (view.stdout, view.stdout_truncated) if stream == "stdout" else (view.stderr, view.stderr_truncated)
    return None if text is None or cut else len(text) <= position.characters


def _raise_first_failure(pumps: Sequence[asyncio.Task[None]]) -> None:
    for pump in pumps:
        if pump.done() and not pump.cancelled() and (error := pump.exception()) is not None:
            raise error
