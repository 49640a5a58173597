"""Transfers large bodies directly between a connection's socket and a file, bypassing the HTTP server's buffers.

Uvicorn passes bodies through the event loop in pieces, which costs three times as much as the copying itself. So
requests for the bytes of objects get an ASGI extension that reads from or writes to the socket: threads move data
while there is some, and the event loop waits when there is none.
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

from .request_check import check_head
from .response_transport import ResponseTransport

KEY = "runloop_local.direct"
ABORT = "runloop_local.abort"
_BUFFER = 1 << 20
_BURST = 16 << 20
"""Bytes to move before another connection gets the thread."""
_MAX_DISCARDED = 256 << 20
"""Bytes of a body that cannot be kept, read before its connection is reset."""
_POLL_TIMEOUT_MS = 10
"""The time a thread waits for more data: the peer of a fast connection needs less."""
_THREADS = ThreadPoolExecutor(4, "direct")


class DirectTransfer:
    """Direct access to the socket of one request."""

    def __init__(self, protocol: HttpToolsProtocol, cycle: RequestResponseCycle, response: ResponseTransport) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self._response = response

    async def receive(self, file: Path, length: int) -> int:
        """Write the request's body of `length` bytes to a new file. Raises `ConnectionError` if it ends early."""
        early = self._take_over()
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        target = _Target(handle)
        try:
            await _run(target.write, memoryview(early))
            buffer = memoryview(bytearray(_BUFFER))
            await self._move(length - len(early), False, lambda sock, left: _receive(sock, target, buffer, left))
        finally:
            os.close(handle)
        self._cycle.more_body = False
        if target.error is not None:
            raise target.error
        return length

    async def send(self, file: Path, start: int, end: int) -> None:
        """Send part of a file as the body, after the head has been sent. Raises `ConnectionError`."""
        # The head must leave the transport's buffer before the file is sent past it; it nearly always has.
        self._response.flush()
        while self._protocol.transport.get_write_buffer_size():  # noqa: ASYNC110 -- a transport has no event for it
            await asyncio.sleep(0.001)
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await self._move(end - start, True, lambda sock, left: _send(sock, handle, end - left, left))
        finally:
            os.close(handle)
        self._cycle.expected_content_length = 0

    def _take_over(self) -> bytes:
        """Stop uvicorn from reading the socket; returns what it has read of the body so far."""
        self._protocol.flow.pause_reading()
        if self._cycle.waiting_for_100_continue:  # the client sends no body before it has this
            self._cycle.waiting_for_100_continue = False
            self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        early, self._cycle.body = self._cycle.body, type(self._cycle.body)()
        # The parser does not see the rest of the body, so it could not parse another request after it.
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
                    await _wait_ready(sock, writing)


async def _run(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run on a thread, and wait for its end even if cancelled: its descriptors must not be closed under it."""
    running = asyncio.get_running_loop().run_in_executor(_THREADS, work, *arguments)
    try:
        return await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.wait({running})


async def _wait_ready(sock: socket.socket, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(sock, ready.set)
    try:
        await ready.wait()
    finally:
        remove(sock)


class _Target:
    """Writes a body to a file until that fails, as on a full disk; discards the rest.

    A connection that is closed with data unread is reset, and its client may lose the response that says why.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._discarded = 0
        self.error: OSError | None = None

    def write(self, data: memoryview) -> None:
        """Write or discard a piece. Raises `error` once too much has been discarded."""
        if self.error is None:
            try:
                _write_all(self._handle, data)
                return
            except OSError as error:
                self.error = error
        self._discarded += len(data)
        if self._discarded > _MAX_DISCARDED:
            raise self.error


def _receive(sock: socket.socket, target: _Target, buffer: memoryview, left: int) -> int:
    moved = 0
    while moved < min(left, _BURST):
        try:
            count = sock.recv_into(buffer, min(len(buffer), left - moved))
        except BlockingIOError:
            if not _poll(sock, select.POLLIN):
                break
            continue
        if not count:
            raise ConnectionAbortedError("the connection has ended")
        target.write(buffer[:count])
        moved += count
    return moved


def _send(sock: socket.socket, handle: int, start: int, left: int) -> int:
    moved = 0
    while moved < min(left, _BURST):
        try:
            count = os.sendfile(sock.fileno(), handle, start + moved, min(_BURST, left - moved))
        except BlockingIOError:
            if not _poll(sock, select.POLLOUT):
                break
            continue
        if not count:
            raise ConnectionAbortedError("the file has become shorter")
        moved += count
    return moved


def _poll(sock: socket.socket, event: int) -> bool:
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(_POLL_TIMEOUT_MS))


def _write_all(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]


class DirectHTTPProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, with `DirectTransfer` for requests below `path`; refuses ambiguous request heads."""

    path = b"/storage/"
    _head_error: str | None = None

    def on_headers_complete(self) -> None:
        """Check the head, and add the ASGI extensions."""
        self._head_error = check_head(self.parser.get_http_version(), self.url, self.headers)
        if self._head_error is not None:
            raise ValueError(self._head_error)  # the parser turns it into a 400, as for invalid HTTP
        scope = cast("dict[str, Any]", self.scope)
        super().on_headers_complete()
        if self.cycle is not None:
            response = ResponseTransport(self.transport, self.loop)
            self.cycle.transport = cast("asyncio.Transport", response)  # it has all that a cycle uses
            scope["extensions"] = {ABORT: partial(self._abort, self.cycle)}
            if self.url.startswith(self.path):
                scope["extensions"][KEY] = DirectTransfer(self, self.cycle, response)

    def send_400_response(self, msg: str) -> None:
        """Answer 400 with the reason, and close the connection."""
        super().send_400_response(msg if self._head_error is None else self._head_error)

    def _abort(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True  # otherwise uvicorn would log that the response is incomplete
        cycle.transport.close()


def abort_response(scope: Any) -> None:
    """Close a request's connection in the middle of its response, so that the client sees it is incomplete."""
    scope["extensions"][ABORT]()


def direct_transfer(scope: Any) -> DirectTransfer | None:
    """The request's `DirectTransfer` extension, or None."""
    found: DirectTransfer | None = scope.get("extensions", {}).get(KEY)
    return found
