"""A decoder of server-sent events by the WHATWG specification. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"
_DATA = b"data: "
_NEXT = b"\n\n" + _DATA


class ServerSentEvent(NamedTuple):
    """One event: its type, `message` by default, and its data."""

    event: str
    data: str


class SSEDecoder:
    """Decodes a response body that is fed in pieces of any size."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # an unfinished line; a list, so that a long line costs no quadratic copying
        self._skip_newline = False  # the last piece ended in \r, whose \n may still come
        self._at_start = True
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that `chunk` completes."""
        for line in self._lines(chunk):
            event = self._take(line)
            if event is not None:
                yield event

    def feed_fast(self, chunk: bytes) -> Iterator[ServerSentEvent | list[bytes]]:
        """The same, but the data of consecutive plain messages of one line each comes as a list.

        Nearly all events are such messages. They are recognized and split by methods of bytes, without a loop.
        """
        # Complete the event that the last chunk began, then take all whole ones, then begin the one that is cut off.
        start = 0 if self._between_events else chunk.find(b"\n\n") + 2
        yield from self.feed(chunk[:start])
        end = chunk.rfind(b"\n\n")
        if start < end and self._between_events and (messages := _plain(chunk[start:end])):
            yield messages
            start = end + 2
        yield from self.feed(chunk[start:])

    @property
    def _between_events(self) -> bool:
        return not (self._at_start or self._pieces or self._data or self._event or self._skip_newline)

    def _lines(self, chunk: bytes) -> Iterator[str]:
        if not chunk:
            return
        if self._skip_newline and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._skip_newline = chunk.endswith(b"\r")
        for line in chunk.splitlines(
            keepends=True
        ):  # bytes are split at \n, \r and \r\n only, as the specification says
            self._pieces.append(line)
            if line.endswith((b"\n", b"\r")):
                yield self._finish_line()

    def _finish_line(self) -> str:
        line = b"".join(self._pieces).rstrip(b"\r\n")
        self._pieces.clear()
        if self._at_start:  # only there is a byte order mark not part of the text
            self._at_start = False
            line = line.removeprefix(_BOM)
        return line.decode("utf-8", errors="replace")

    def _take(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        # Without data there is no event, as the specification says, but its type is forgotten all the same.
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return ServerSentEvent(event, "\n".join(data)) if data else None


def _plain(block: bytes) -> list[bytes] | None:
    """The data of each frame if all frames of the block are `data: ` and one line; None otherwise."""
    # Two line ends for each frame but the last, which the caller has cut off: then no frame has a second line.
    frames = block.count(_NEXT) + 1
    if not block.startswith(_DATA) or block.count(b"\n") != 2 * (frames - 1) or b"\r" in block:
        return None
    return block[len(_DATA) :].split(_NEXT)
