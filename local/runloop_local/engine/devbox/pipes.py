"""Pipes between the service and a devbox's processes, on the event loop and without threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import sys
import termios
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from .. import descriptors
from ..fair_queue import PIECE_BYTES

if TYPE_CHECKING:
    from ..fair_queue import Flow


def open_pipe() -> tuple[int, int]:
    """A pipe (read end, write end) with as much room as one read takes."""
    ends = open_small_pipe()
    if sys.platform == "linux":
        # A user's pipes share a quota; beyond it the kernel refuses, and the default size does.
        with contextlib.suppress(OSError):
            fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, PIECE_BYTES)
    return ends


def open_small_pipe() -> tuple[int, int]:
    """A pipe (read end, write end) that programs may open again by its name, such as /dev/stdin."""
    ends = os.pipe()
    if descriptors.are_short(ends[1], descriptors.RESERVED_FROM_COMMANDS):
        close_all(*ends)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    if sys.platform == "linux":
        # Its owner, the service, is nobody in a devbox. The name leads through the process that has it, as ever.
        os.fchmod(ends[0], 0o666)
    return ends


def open_nothing() -> tuple[int, int]:
    """A descriptor that gives nothing and takes everything, in the place of a pipe's first end."""
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC), -1


def open_each(*openers: Callable[[], tuple[int, int]]) -> list[tuple[int, int]]:
    """The descriptors that each of them opens; if one fails, those that were opened before it are closed."""
    found: list[tuple[int, int]] = []
    try:
        for opener in openers:
            found.append(opener())  # noqa: PERF401 -- those before a failure are wanted too
    except BaseException:
        close_all(*(file for ends in found for file in ends))
        raise
    return found


class PipeReader:
    """Hands everything that arrives in a pipe to `on_data`, until its end or `close`. Owns the descriptor."""

    def __init__(self, file: int, on_data: Callable[[bytes], None], flow: Flow) -> None:
        self._file = file
        self._on_data = on_data
        self._flow = flow
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.reads = 0
        os.set_blocking(file, False)
        self._wait()

    def close(self) -> None:
        """Stop reading."""
        if not self.ended.done():
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self.ended.set_result(None)

    def drain(self) -> None:
        """Read what is in the pipe now."""
        # A child that lives on may print for ever: a few reads take all that the pipe had when the command ended.
        limit = self.reads + 8
        while not self.ended.done() and self.reads < limit and self._read(PIECE_BYTES):
            pass

    def _wait(self) -> None:
        self._loop.add_reader(self._file, self._ready)

    def _ready(self) -> None:
        if _is_empty(self._file):
            self._read(PIECE_BYTES)  # its end, which moves nothing and so needs no turn
            return
        self._loop.remove_reader(self._file)  # or it would be called until it has its turn
        # Not read at once: one devbox that prints without end would keep the loop from all others.
        self._flow.ask(self._take_turn)

    def _take_turn(self, most: int) -> None:
        if self.ended.done():
            return
        count = self._read(most)
        self._flow.moved(count)
        # There is probably more: it asks for the next turn at once, without another round of the selector.
        if count == most:
            self._flow.ask(self._take_turn)
        elif not self.ended.done():
            self._wait()

    def _read(self, most: int) -> int:
        try:
            data = os.read(self._file, most)
        except BlockingIOError:
            return 0
        self.reads += 1
        if data:
            self._on_data(data)
        else:
            self.close()
        return len(data)


class PipeWriter:
    """Writes to a pipe, waiting where it is full. Owns the descriptor."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._turn = asyncio.Lock()
        self._open = True
        os.set_blocking(file, False)

    async def write(self, data: bytes) -> None:
        """Write all of `data`. Raises `BrokenPipeError` when nobody reads, or after `close`."""
        async with self._turn:
            # A lock for the whole text: pieces of two requests must not mix in what the command reads.
            view = memoryview(data)
            while view:
                view = view[await self._some(view) :]

    def close(self) -> None:
        """End the input."""
        if self._open:
            self._open = False
            # Before the close: the number may be another file's a moment later, and the loop would watch that.
            asyncio.get_running_loop().remove_writer(self._file)
            os.close(self._file)

    async def finish(self) -> None:
        """End the input after all that is being written."""
        async with self._turn:
            self.close()

    async def _some(self, view: memoryview) -> int:
        while self._open:
            try:
                return os.write(self._file, view)
            except BlockingIOError:
                await self._writable()
        raise BrokenPipeError("the pipe is closed")

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self._file, _settle, ready)
        try:
            # A pipe closed by us never becomes writable: look again now and then.
            await asyncio.wait({ready}, timeout=1)
        finally:
            if self._open:
                loop.remove_writer(self._file)


async def chunks(file: int, flow: Flow) -> AsyncIterator[bytes]:
    """The bytes from a pipe, read only as fast as they are consumed. Owns the descriptor."""
    loop = asyncio.get_running_loop()
    os.set_blocking(file, False)
    try:
        while True:
            most = await flow.turn()
            try:
                data = os.read(file, most)
            except BlockingIOError:
                await _readable(loop, file)
                continue
            if not data:
                return
            flow.moved(len(data))
            yield data
    finally:
        os.close(file)


async def _readable(loop: asyncio.AbstractEventLoop, file: int) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(file, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(file)


def _is_empty(file: int) -> bool:
    """True if a pipe has nothing to read but, perhaps, its end."""
    return not any(fcntl.ioctl(file, termios.FIONREAD, bytes(4)))


def close_all(*files: int) -> None:
    """Close descriptors that are still ours."""
    for file in files:
        if file >= 0:
            os.close(file)


def write_all(file: int, data: bytes) -> None:
    """Write to a file of this machine, which may take a part at a time. Raises `OSError` where it takes no more."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
