"""Receives a body of known length from its socket straight into a file, past the event loop and the parser.

Through the loop, each piece is copied twice more and changes threads, which takes longer than all the rest. So a thread
moves data while there is some, and the event loop waits when there is none.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from ._local_files import local_file
from ._messages import TransportError
from ._sockets import is_readable

_BUFFER = 1 << 20
_BURST_SECONDS = 0.05
"""The time to move data before it is looked whether the caller was cancelled."""
_POLL_TIMEOUT_MS = 10
"""The time for which the thread waits for more: the server of a fast connection needs less."""


class Receiver:
    """Moves the bytes of one body. Has a descriptor of its own: that of the connection may be closed at any time."""

    def __init__(self, descriptor: int, file: BinaryIO) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._file = file
        self._buffer = memoryview(bytearray(_BUFFER))

    async def write(self, data: bytes) -> int:
        """Write what was received before."""
        return await _in_thread(lambda: self._write(memoryview(data)))

    async def receive(self, most: int) -> int:
        """Write up to `most` bytes to the file as long as they come; returns their number, 0 if none is there."""
        return await _in_thread(lambda: self._burst(most))

    def watch(self, readable: Callable[[], object]) -> None:
        """Call this whenever there is something to receive, until `unwatch`."""
        asyncio.get_running_loop().add_reader(self._socket, readable)

    def unwatch(self) -> None:
        """Do not call back any more."""
        asyncio.get_running_loop().remove_reader(self._socket)

    def close(self) -> None:
        """Close the descriptor."""
        self._socket.close()

    def _burst(self, most: int) -> int:
        moved, end = 0, time.monotonic() + _BURST_SECONDS
        while moved < most and time.monotonic() < end:
            try:
                count = self._socket.recv_into(self._buffer, min(len(self._buffer), most - moved))
            except BlockingIOError:
                if not is_readable(self._socket.fileno(), _POLL_TIMEOUT_MS):
                    break
                continue
            except OSError as error:
                if moved:
                    break  # first it is told what came before: from there on the rest is asked for again
                raise TransportError(str(error)) from error
            if not count:
                if moved:
                    break
                raise TransportError("the server closed the connection before its answer was complete")
            moved += self._write(self._buffer[:count])
        return moved

    def _write(self, data: memoryview) -> int:
        with local_file():
            return self._file.write(data)


async def _in_thread(work: Callable[[], int]) -> int:
    """Wait for the end of the work even if cancelled: the file and the socket must not be closed under it."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    finally:
        while not running.done():
            with suppress(asyncio.CancelledError):  # once more: the first one is raised already
                await asyncio.wait({running})
