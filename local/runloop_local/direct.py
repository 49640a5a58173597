"""Large bodies straight between a connection's socket and a file, past the HTTP server's buffers.

Uvicorn hands bodies on in pieces through the event loop, which costs three times what the copying itself does. So
requests for bytes of objects carry a way to take their body from, or give it to, the socket itself: threads move what
is there, and the loop waits where nothing is.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .request_check import complaint

KEY = "runloop_local.direct"
CUT = "runloop_local.cut"
_BUFFER = 1 << 20
_BURST = 16 << 20
"""After so many bytes it is another connection's turn."""
_PATIENCE_MS = 10
"""How long a thread waits for more: the other side of a fast connection needs less."""
_THREADS = ThreadPoolExecutor(4, "direct")


class Direct:
    """The socket of one request."""

    def __init__(self, protocol: HttpToolsProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self._moved = 0

    async def receive(self, file: Path, length: int) -> int:
        """Write the request's body of `length` bytes to a new file. `ConnectionError` when it ends before."""
        early = self._take_over()
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            await _run(_write_all, handle, memoryview(early))
            buffer = memoryview(bytearray(_BUFFER))
            await self._move(length - len(early), False, lambda sock, left: _receive(sock, handle, buffer, left))
        finally:
            os.close(handle)
        self._cycle.more_body = False
        return length

    async def send(self, file: Path, start: int, end: int) -> None:
        """Send bytes of a file as the body, after the head has been sent. `ConnectionError` if nobody takes them."""
        while self._protocol.transport.get_write_buffer_size():  # noqa: ASYNC110 -- a transport tells nobody
            await asyncio.sleep(0.001)  # the head, which nearly always has gone at once
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await self._move(end - start, True, lambda sock, left: _send(sock, handle, end - left, left))
        finally:
            os.close(handle)
        self._cycle.expected_content_length = 0

    def _take_over(self) -> bytes:
        """What has been read of the body; from here on only we read."""
        self._protocol.flow.pause_reading()
        if self._cycle.waiting_for_100_continue:
            self._cycle.waiting_for_100_continue = False
            self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        early, self._cycle.body = self._cycle.body, type(self._cycle.body)()
        # The parser has not seen the rest, so it can make nothing of what would come after.
        self._cycle.keep_alive = False
        return bytes(early)

    async def _move(self, left: int, writing: bool, burst: Callable[[socket.socket, int], int]) -> None:
        own = self._protocol.transport.get_extra_info("socket")
        if own.fileno() < 0:
            raise ConnectionAbortedError("the connection has ended")
        with socket.socket(fileno=os.dup(own.fileno())) as sock:
            sock.setblocking(False)
            while left:
                moved = await _run(burst, sock, left)
                left -= moved
                if not moved:
                    await _ready(sock, writing)


async def _run(work: Callable[..., Any], *arguments: Any) -> Any:
    """Work on a thread, to its end: what it uses must not be closed under it."""
    running = asyncio.get_running_loop().run_in_executor(_THREADS, work, *arguments)
    try:
        return await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.wait({running})


async def _ready(sock: socket.socket, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(sock, ready.set)
    try:
        await ready.wait()
    finally:
        remove(sock)


def _receive(sock: socket.socket, handle: int, buffer: memoryview, left: int) -> int:
    moved = 0
    while moved < min(left, _BURST):
        try:
            count = sock.recv_into(buffer, min(len(buffer), left - moved))
        except BlockingIOError:
            if not _soon(sock, select.POLLIN):
                break
            continue
        if not count:
            raise ConnectionAbortedError("the connection has ended")
        _write_all(handle, buffer[:count])
        moved += count
    return moved


def _send(sock: socket.socket, handle: int, start: int, left: int) -> int:
    moved = 0
    while moved < min(left, _BURST):
        try:
            count = os.sendfile(sock.fileno(), handle, start + moved, min(_BURST, left - moved))
        except BlockingIOError:
            if not _soon(sock, select.POLLOUT):
                break
            continue
        if not count:
            raise ConnectionAbortedError("the file has become shorter")
        moved += count
    return moved


def _soon(sock: socket.socket, event: int) -> bool:
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(_PATIENCE_MS))


def _write_all(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]


class DirectHttp(HttpToolsProtocol):
    """Uvicorn's HTTP, with a way past it for requests below one path. Heads that could be misread are refused."""

    path = b"/storage/"
    _complaint: str | None = None

    def on_headers_complete(self) -> None:
        """Uvicorn's, and the way past it."""
        self._complaint = complaint(self.parser.get_http_version(), self.url, self.headers)
        if self._complaint is not None:
            raise ValueError(self._complaint)  # the parser's end: a 400, as for what is no HTTP
        scope = cast("dict[str, Any]", self.scope)
        super().on_headers_complete()
        if self.cycle is not None:
            scope["extensions"] = {CUT: partial(self._cut, self.cycle)}
            if self.url.startswith(self.path):
                scope["extensions"][KEY] = Direct(self, self.cycle)

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong, and close the connection."""
        super().send_400_response(msg if self._complaint is None else self._complaint)

    def _cut(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True  # or uvicorn would say in the log that the reply is incomplete
        self.transport.close()


def cut(scope: Any) -> None:
    """End a request's connection where its reply has got to: whoever reads it sees that it is not whole."""
    scope["extensions"][CUT]()


def direct_of(scope: Any) -> Direct | None:
    """The way past the server that a request has, if any."""
    found: Direct | None = scope.get("extensions", {}).get(KEY)
    return found
