"""A command's output as it comes: resumed after every cut, stdout and stderr merged in their true order.

`StreamPosition` and `Merger` decide and do no I/O; `OutputReader` reads.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    NotFoundError,
    RunloopError,
    StreamError,
    WaitTimeoutError,
)
from ._retry import backoff, is_retryable

if TYPE_CHECKING:
    from ._event_stream import EventStream
    from .models.executions import DevboxAsyncExecutionDetailView, ExecutionUpdateChunk

StreamName = Literal["stdout", "stderr"]
BOTH: tuple[StreamName, ...] = ("stdout", "stderr")
Span = tuple[int, int]
Frame = tuple[str, Span | None]
"""What a frame brought that is new, and where it belongs in the merged output."""
_REPLACEMENT = "\ufffd"
_READY_LIMIT = 8
_HELD_LIMIT = 256
_HEAD_START = 0.005
_NOT_FOUND_PAUSE = 0.05
_ALIVE_SECONDS = 1.0
"""A stream that was open so long counts as progress: the command may be silent."""


@dataclass(frozen=True, slots=True)
class OutputChunk:
    """A piece of a command's output."""

    stream: StreamName
    text: str


class StreamPosition:
    """How far one stream was read, in bytes, whatever a frame's offset means.

    The API does not say whether the offset of a frame is its first byte or the byte after it. The first text of a
    stream that was asked for from byte 0 tells: only a first byte can be 0.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.characters = 0
        """How many characters were new."""
        self._offset_is_end: bool | None = None
        self._catching_up = False
        self._last = (0, "")  # where the last frame began, and its text
        self._again = ""  # text that will come a second time

    def resume(self) -> int:
        """The offset to ask for; what comes twice after it is dropped."""
        start, output = self._last
        if self._offset_is_end is False and _REPLACEMENT in output:
            # A byte that is no UTF-8 arrives as U+FFFD, so only where the frame began is known, not where it ended.
            self.offset, self._again = start, output + self._again
            self._last = (start, "")
        self._catching_up = self.offset > 0
        return self.offset

    def take(self, output: str, offset: int | None) -> str:
        """The part of a frame's output that was not seen before."""
        if not output:
            return ""
        size = len(output) if output.isascii() else len(output.encode())
        if offset is None:
            self.offset += size
        else:
            output = self._place(output, offset, size)
        self.characters += len(output)
        return output

    def _place(self, output: str, offset: int, size: int) -> str:
        if self._offset_is_end is None:
            self._offset_is_end = offset > self.offset
        end = offset if self._offset_is_end else offset + size
        new = output
        if self._catching_up:
            new = self._unseen(output, end - self.offset)
            self._catching_up = not new
        if not self._catching_up:
            self.offset, self._last = end, (offset, output)
        return self._without_known(new) if self._again else new

    def _without_known(self, output: str) -> str:
        known, self._again = self._again, ""
        if known.startswith(output):
            self._again = known[len(output) :]
            return ""
        return output.removeprefix(known)

    def _unseen(self, output: str, new_bytes: int) -> str:
        # A byte that is no UTF-8 arrives as U+FFFD, three bytes for one: only more than that is a repetition.
        encoded = output.encode()
        least = len(encoded) - 2 * output.count(_REPLACEMENT)
        if new_bytes <= 0:
            return ""
        return output if least <= new_bytes else encoded[-new_bytes:].decode(errors="ignore")


class Merger:
    """Puts the frames of several streams into one order.

    A frame may carry its span, the range of bytes that it has in the merged output: then the order is exact, because
    the spans of all streams together have no gaps. Without spans, frames keep the order in which they came.
    """

    def __init__(self, streams: Sequence[StreamName]) -> None:
        self._held: dict[StreamName, deque[tuple[OutputChunk, Span]]] = {s: deque() for s in streams}
        self._open = set(streams)
        self._position = 0

    def push_all(self, stream: StreamName, frames: Sequence[Frame]) -> list[OutputChunk]:
        """The same as `push` for several frames; those at the front that are in order already become one chunk."""
        done = 0 if any(self._held.values()) else self._in_order(frames)
        text = "".join([text for text, _ in frames[:done]])
        shown = [OutputChunk(stream, text)] if text else []
        for text, span in frames[done:]:
            shown += self.push(stream, text, span)
        return shown

    def _in_order(self, frames: Sequence[Frame]) -> int:
        for number, (_, span) in enumerate(frames):
            if span is not None:
                if span[0] > self._position:
                    return number
                self._position = max(self._position, span[1])
        return len(frames)

    def push(self, stream: StreamName, text: str, span: Span | None) -> list[OutputChunk]:
        """The chunks that can be shown now that this frame came."""
        chunk = OutputChunk(stream, text)
        if span is None:
            return [chunk] if text else []
        self._held[stream].append((chunk, span))
        return self._release()

    def close(self, stream: StreamName) -> list[OutputChunk]:
        """The chunks that can be shown now that a stream has ended."""
        self._open.discard(stream)
        return self._release()

    def held(self, stream: StreamName) -> int:
        """How many frames of a stream wait for an earlier one of another."""
        return len(self._held[stream])

    def _release(self) -> list[OutputChunk]:
        released: list[OutputChunk] = []
        while (stream := self._next()) is not None:
            chunk, span = self._held[stream].popleft()
            self._position = max(self._position, span[1])
            if chunk.text:
                released.append(chunk)
        return released

    def _next(self) -> StreamName | None:
        heads = [(held[0][1][0], stream) for stream, held in self._held.items() if held]
        if not heads:
            return None
        start, stream = min(heads)
        waiting_for = {s for s in self._open if not self._held[s]}
        return stream if start <= self._position or not waiting_for else None


class OutputReader:
    """Reads the output streams of one execution to their end and gives them as one.

    `open_stream(stream, offset)` asks for a stream; `completed()` gives the command's view once it has ended, so that
    a body that a proxy closed early is not taken for the end. Cuts are resumed with back-off, up to `max_retries`
    times in a row without progress; then `StreamError` is raised. While the request `starting` that starts the
    command is on its way, the streams are asked for already, and one that is not found is asked for again.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamName, int], Awaitable[EventStream[ExecutionUpdateChunk]]],
        completed: Callable[[], Awaitable[DevboxAsyncExecutionDetailView | None]],
        *,
        streams: Sequence[StreamName] = BOTH,
        max_retries: int,
        starting: asyncio.Future[None] | None = None,
    ) -> None:
        self._starting = starting
        self._open_stream = open_stream
        self._completed = completed
        self._streams = tuple(streams)
        self._max_retries = max_retries
        self._merger = Merger(self._streams)
        self._ready: deque[OutputChunk] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def chunks(self) -> AsyncGenerator[OutputChunk, None]:
        """The output, piece by piece."""
        pumps = [asyncio.create_task(self._pump(stream)) for stream in self._streams]
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
        async with aclosing(self._frames(stream)) as batches:
            async for frames in batches:
                self._show(self._merger.push_all(stream, frames))
                await self._wait_for_room(stream)
        self._show(self._merger.close(stream))

    def _show(self, chunks: list[OutputChunk]) -> None:
        if chunks:
            self._ready.extend(chunks)
            self._changed.set()

    async def _wait_for_room(self, stream: StreamName) -> None:
        while len(self._ready) > _READY_LIMIT or self._merger.held(stream) > _HELD_LIMIT:
            self._room.clear()
            await self._room.wait()

    async def _frames(self, stream: StreamName) -> AsyncGenerator[list[Frame], None]:
        position, failures, final = StreamPosition(), 0, None
        await self._give_head_start(_HEAD_START)
        while True:
            before, had_ended, error = position.characters, final is not None, None
            starting = self._starting is not None and not self._starting.done()
            events = await self._open_stream(stream, position.resume())
            try:
                async with events:
                    async for batch in events.batches():
                        yield [(position.take(frame.output, frame.offset), frame.span) for frame in batch]
                final = await self._completed()
            except (APIConnectionError, APIStatusError) as caught:
                error = caught
            if starting and isinstance(error, NotFoundError):
                await self._give_head_start(_NOT_FOUND_PAUSE)
                continue
            progressed = position.characters > before or (final is not None and not had_ended)
            whole = _is_whole(final, stream, position)
            if error is None and (whole or (whole is None and not progressed)):
                return
            failures = 0 if progressed or _was_alive(events, error) else failures + 1
            if failures or error is not None:
                await self._wait_to_resume(stream, failures, error)

    async def _give_head_start(self, seconds: float) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting], timeout=seconds)
            if self._starting.done():
                self._starting.result()

    async def _wait_to_resume(self, stream: StreamName, failures: int, error: RunloopError | None) -> None:
        if error is not None and not is_retryable(error):
            raise error
        if failures > self._max_retries:
            reason = error or "it ends before the output does"
            message = f"The {stream} stream was cut and could not be resumed: {reason}"
            raise StreamError(message, cause=error) from error
        if failures or not isinstance(error, WaitTimeoutError):  # that is the service's limit on one response
            await asyncio.sleep(backoff(max(0, failures - 1)))


def _is_whole(
    final: DevboxAsyncExecutionDetailView | None, stream: StreamName, position: StreamPosition
) -> bool | None:
    """Whether all of an ended command's output has come; None when its view does not have all of it to compare."""
    if final is None:
        return False
    text, cut = (final.stdout, final.stdout_truncated) if stream == "stdout" else (final.stderr, final.stderr_truncated)
    return None if text is None or cut else len(text) <= position.characters


def _was_alive(events: EventStream[ExecutionUpdateChunk], error: RunloopError | None) -> bool:
    lived = 0.0 if events.opened is None else time.monotonic() - events.opened
    return lived >= _ALIVE_SECONDS and not isinstance(error, APITimeoutError)


def _raise_first_failure(pumps: Sequence[asyncio.Task[None]]) -> None:
    for pump in pumps:
        if pump.done() and not pump.cancelled() and (error := pump.exception()) is not None:
            raise error


async def collect(chunks: AsyncIterator[OutputChunk]) -> str:
    """The whole text of a stream."""
    return "".join([chunk.text async for chunk in chunks])
