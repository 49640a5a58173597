"""Positions in the output streams of a command, and their merging in order. No I/O: that is in `_output.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Literal, NamedTuple

from ._errors import OutputTooLargeError

StreamName = Literal["stdout", "stderr"]
BOTH: tuple[StreamName, ...] = ("stdout", "stderr")
Span = tuple[int, int]
Frame = tuple[str, Span | None]
"""The new text of a frame, and its span in the merged output."""
_REPLACEMENT = "\ufffd"


class OutputChunk(NamedTuple):
    """A piece of a command's output."""

    stream: StreamName
    text: str


class StreamPosition:
    """The position up to which one stream was read, in bytes.

    The API does not specify whether the offset of a frame is that of its first byte or of the byte after it. The
    first frame of a stream that is read from byte 0 shows it: only the offset of a first byte can be 0.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.characters = 0
        """Characters received, without repetitions."""
        self._offset_is_end: bool | None = None
        self._catching_up = False
        self._last = (0, "")  # offset and text of the last frame
        self._again = ""  # text that will be received a second time

    def resume(self) -> int:
        """The offset to request next; from then on, text that is received twice is dropped."""
        start, output = self._last
        if self._offset_is_end is False and _REPLACEMENT in output:
            # A byte that is not UTF-8 arrives as U+FFFD, three bytes for one: the offset of the frame is exact, that of
            # its end is not. So the whole frame is requested again, and its text dropped.
            self.offset, self._again = start, output + self._again
            self._last = (start, "")
        self._catching_up = self.offset > 0
        return self.offset

    def take(self, output: str, offset: int | None) -> str:
        """The part of a frame's output that was not received before."""
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
        if self._offset_is_end is None:  # the first frame from byte 0: see the class
            self._offset_is_end = offset > self.offset
        end = offset if self._offset_is_end else offset + size
        new = output
        if self._catching_up:  # after a resume, a service may send frames from before the offset
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
        # Each U+FFFD may stand for one byte instead of its three: the text repeats known bytes only if even its least
        # possible length is more than is new.
        encoded = output.encode()
        least = len(encoded) - 2 * output.count(_REPLACEMENT)
        if new_bytes <= 0:
            return ""
        return output if least <= new_bytes else encoded[-new_bytes:].decode(errors="ignore")


class Merger:
    """Merges the frames of several streams.

    A frame may have a span, its range of bytes in the merged output. As the spans of all streams together have no
    gaps, frames with spans are put in their exact order. Without spans, frames keep the order in which they arrive.
    """

    def __init__(self, streams: Sequence[StreamName]) -> None:
        self._held: dict[StreamName, deque[tuple[OutputChunk, Span]]] = {s: deque() for s in streams}
        self._open = set(streams)
        self._position = 0

    def push_all(self, stream: StreamName, frames: Sequence[Frame]) -> list[OutputChunk]:
        """Like `push` for several frames; the first ones, as far as they are in order, are returned as one chunk."""
        # A flood is mostly in order: one chunk for all of it is much cheaper than one for each frame.
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
        """Add a frame; the chunks that are in order now."""
        chunk = OutputChunk(stream, text)
        if span is None:
            return [chunk] if text else []
        self._held[stream].append((chunk, span))
        return self._release()

    def close(self, stream: StreamName) -> list[OutputChunk]:
        """Note the end of a stream; the chunks that need not wait for it any more."""
        self._open.discard(stream)
        return self._release()

    def held(self, stream: StreamName) -> int:
        """The number of frames of a stream that wait for an earlier one of another."""
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
        # A gap before the earliest frame belongs to a stream that is open and has no frame here. If there is none, the
        # missing frame will not come.
        waiting_for = {s for s in self._open if not self._held[s]}
        return stream if start <= self._position or not waiting_for else None


async def collect(chunks: AsyncIterator[OutputChunk], limit: int | None = None) -> str:
    """The text of all chunks; raises `OutputTooLargeError` if that is more than `limit` characters."""
    texts, size = [], 0
    async for chunk in chunks:
        size += len(chunk.text)
        require_size(size, limit)
        texts.append(chunk.text)
    return "".join(texts)


def require_size(size: int, limit: int | None) -> None:
    """Raise `OutputTooLargeError` if `size` characters of output are more than `limit`."""
    if limit is not None and size > limit:
        raise OutputTooLargeError(f"The command printed more than {limit:,} characters, the most that is read of it.")
