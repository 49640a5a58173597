"""What the shell of a terminal prints, on its way to the pages.

No more is on its way to a page than it can draw soon; while that is so the shell waits, so that `yes` costs nothing
that Ctrl-C could not end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from .protocol import terminal as messages

if TYPE_CHECKING:
    from runloop_sdk import AsyncPty

    from .channel import Channel

_WINDOW = 256 * 1024  # bytes that may be on their way
_KEPT = 256 * 1024  # bytes that a second view, or a page that was loaded again, gets
_LARGEST = 64 * 1024  # bytes in one message
_TIE = 0.004  # seconds in which what follows closely becomes one message


class TerminalOutput:
    """The output of a terminal's shells: its end, and how much was sent and drawn (bytes since the widget was made)."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sent = self._drawn = 0
        self._room = asyncio.Event()
        self._kept = bytearray()

    def snapshot(self) -> messages.Snapshot:
        """Return the end of it, for a view that opens."""
        return messages.Snapshot(self._sent, bytes(self._kept))

    async def print(self, data: bytes) -> None:
        """Send more of it, and wait until there is room for what follows."""
        self._sent += len(data)
        self._kept += data
        if len(self._kept) > 2 * _KEPT:
            del self._kept[: self._kept.find(b"\n", len(self._kept) - _KEPT) + 1 or len(self._kept) - _KEPT]
        self._channel.post(messages.Data(self._sent, data))
        while self._sent - self._drawn > _WINDOW:
            self._room.clear()
            await self._room.wait()

    def note_drawn(self, offset: int) -> None:
        """A page has drawn everything up to here."""
        self._drawn = max(self._drawn, min(offset, self._sent))
        self._room.set()

    def note_all_drawn(self) -> None:
        """Wait for no page: another one begins with a snapshot, or none is left."""
        self.note_drawn(self._sent)

    def reset(self) -> None:
        """Forget what another shell has printed."""
        self._kept.clear()
        self._channel.post(messages.Reset())


async def bursts(pty: AsyncPty) -> AsyncGenerator[bytes, None]:
    """Yield what a shell prints until it ends; what follows closely comes as one."""
    reading: asyncio.Task[bytes] | None = None
    try:
        while data := await (reading or pty.read()):
            reading = asyncio.ensure_future(pty.read())
            pieces = [data]
            while sum(map(len, pieces)) < _LARGEST:
                await asyncio.wait((reading,), timeout=_TIE)
                if not reading.done() or reading.exception() is not None or not reading.result():
                    break
                pieces.append(reading.result())
                reading = asyncio.ensure_future(pty.read())
            yield b"".join(pieces)
    finally:
        if reading is not None:
            reading.cancel()
