"""The output of a terminal, kept as far back as `KEPT_BYTES`, and read no faster than its client takes it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_BYTES = 256 * 1024
_CHUNK = 64 * 1024


class Scrollback:
    """The last bytes of an endless output, by their offset."""

    def __init__(self) -> None:
        self.start = 0
        self._kept = bytearray()

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.start + len(self._kept)

    def append(self, data: bytes, most: int) -> None:
        """Add to the end; the oldest bytes make room."""
        self._kept += data
        excess = max(0, len(self._kept) - most)
        del self._kept[:excess]
        self.start += excess

    def nearest(self, offset: int) -> int:
        """The offset itself, if it is kept or the next to come."""
        return min(max(offset, self.start), self.end)

    def read(self, offset: int) -> bytes:
        """Some bytes from `offset` on."""
        place = offset - self.start
        return bytes(self._kept[place : place + _CHUNK])


class TerminalReader:
    """Reads a terminal into its scrollback, no faster than the client takes it."""

    def __init__(self, file: int, unread_from: Callable[[], int | None], on_change: Callable[[], None]) -> None:
        self.output = Scrollback()
        self._file = file
        self._unread_from = unread_from
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._reading = False

    def is_full(self) -> bool:
        """Return True while more output would push out what the client has not read yet."""
        offset = self._unread_from()
        return offset is not None and self.output.end - offset >= KEPT_BYTES - _CHUNK

    def resume(self) -> None:
        """Read whatever the terminal prints from now on."""
        if not self._reading and not self.is_full():
            self._reading = True
            self._loop.add_reader(self._file, self._readable)
            self._on_change()

    def pause(self) -> None:
        """Read nothing until `resume`."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._file)

    def read(self) -> bool:
        """Read once; True if there was something."""
        return self._keep(self._read())

    def _readable(self) -> None:
        if self.is_full():
            self.pause()
            return
        data = self._read()
        if data is not None and not self._keep(data):
            self.pause()  # hung up: its exit follows

    def _read(self) -> bytes | None:
        """The terminal's output: empty when it has been hung up, None when there is nothing yet."""
        try:
            return os.read(self._file, _CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # Linux's end of a terminal
            return b""

    def _keep(self, data: bytes | None) -> bool:
        if data:
            self.output.append(data, KEPT_BYTES)
            self._on_change()
        return bool(data)
