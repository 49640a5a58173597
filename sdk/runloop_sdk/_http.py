"""A minimal HTTP/1.1 client on asyncio's connections, with the parser httptools, which is written in C.

General clients spend most of a short call in their connection pools, their parsers and their own import. This one
only connects directly; proxies, and clients that the caller passes, are left to `_httpx.py`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import SplitResult, urlsplit

import httptools

from ._messages import (
    HTTPAnswer,
    HTTPRequest,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
    UnreachableError,
    decompressed,
)
from ._request_head import head_of
from ._sockets import is_readable

if TYPE_CHECKING:
    from ._receiving import Receiver

KEEP_ALIVE = 30.0
"""Seconds after which an idle connection is not used any more."""
_SECOND_ADDRESS_DELAY = 0.25
"""Seconds after which a host's next address is tried as well."""
_DIALS_AT_ONCE = 32
"""Connections that are being opened. Were it a thousand, the loop would notice too late that they are open."""
_BUSY = 1.0
"""Seconds by which a timer is only late if the loop was blocked."""
_READ_SIZE = 1 << 18
_BUFFERED = 1 << 18
"""Bytes of a body that are received ahead of its reader."""
Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}


class DirectTransport:
    """Sends requests over connections that are kept alive between them. Belongs to one event loop."""

    is_closed = False  # `Transport`, which owns it, keeps track of that

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._is_closing = False
        self._tls: ssl.SSLContext | None = None
        self._dialing = asyncio.Semaphore(_DIALS_AT_ONCE)
        self._buffer = memoryview(bytearray(_READ_SIZE))  # one for all connections: received data is parsed at once

    async def send(self, request: HTTPRequest) -> HTTPAnswer:
        """The answer to `request`, its body still to be read."""
        url = urlsplit(request.url)
        head = head_of(request, url)
        # A connection belongs to this request alone until its answer has been read: requests are not pipelined.
        connection = await self._connect(url, request.connect_timeout)
        try:
            await connection.send(head, request)
            if request.meanwhile is not None:
                request.meanwhile()
            await connection.head(request.timeout)
        except BaseException:
            connection.abort()  # also when cancelled, so that the server sees at once that nobody waits
            raise
        return _Answer(self, connection, request.timeout)

    async def aclose(self) -> None:
        """Close all connections, also those in use and those that are being opened."""
        self._is_closing = True
        for connection in tuple(self._open):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    def release(self, connection: _Connection) -> None:
        """Keep a connection for the next request if its exchange is complete, else close it."""
        if connection.reusable:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(connection.origin, deque()).append(connection)
        else:
            connection.abort()

    async def _connect(self, url: SplitResult, seconds: float) -> _Connection:
        origin = (url.scheme, url.hostname or "", url.port or _PORTS[url.scheme])
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()  # the one used last is the least likely to be closed by the server
            if connection.usable:
                return connection
            connection.abort()
        return await self._dial(origin, seconds)

    async def _dial(self, origin: Origin, seconds: float) -> _Connection:
        async with self._dialing:
            connection = await _in_time(self._connected(origin), seconds)
        if self._is_closing:  # meanwhile: nobody would close this one
            connection.abort()
            raise TransportError("the client was closed")
        return connection

    async def _connected(self, origin: Origin) -> _Connection:
        scheme, host, port = origin
        loop, delay = asyncio.get_running_loop(), None if _is_address(host) else _SECOND_ADDRESS_DELAY
        try:
            tls = await self._tls_context() if scheme == "https" else None
            _, connection = await loop.create_connection(
                lambda: _Connection(origin, self._open, self._buffer),
                host,
                port,
                ssl=tls,
                happy_eyeballs_delay=delay,
            )
        except OSError as error:
            raise UnreachableError(str(error)) from error
        return connection

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls_context)  # reads the certificates: 30 ms
        return self._tls


class _Response:
    """The answer that a connection receives, as httptools parses it; `begin` awaits the next one."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the answer before. The parser goes on: it has seen that one to its end."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.has_head = False
        self.keep_alive = False
        self.buffered = 0
        """Bytes of the body that were received and not taken."""
        self._has_length = False
        self._left: int | None = None
        self._pieces: deque[bytes] = deque()

    @property
    def left(self) -> int:
        """Bytes of the body that are still to be received; 0 where its length is not known, too."""
        return self._left or 0

    def feed(self, data: memoryview) -> None:
        """Parse what was received; raises httptools' errors for what is no HTTP."""
        self._parser.feed_data(data)

    def end(self) -> None:
        """Take note that no more comes: without a length, the body ends with the connection."""
        if self.has_head and not self._has_length:
            self.complete = True

    def skip(self) -> None:
        """Take note that the rest of the body was received past the parser, which a new one replaces."""
        self.complete, self.keep_alive = True, self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)

    def take(self) -> bytes:
        """All of the body that was received and not taken yet."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        return data

    # What httptools calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
        if len(name) in (14, 17):  # the lengths of both names: a cheap test for most headers
            self._has_length = self._has_length or name.lower() in (b"content-length", b"transfer-encoding")
            if name.lower() == b"content-length":
                self._left = int(value)

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.has_head = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self.buffered += len(body)
        if self._left is not None:
            self._left -= len(body)

    def on_message_complete(self) -> None:
        if self.has_head:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()
        else:
            self.headers.clear()  # an interim answer, such as 100 Continue


class _Connection(asyncio.BufferedProtocol):
    """One connection, for one request and its answer at a time."""

    def __init__(self, origin: Origin, registry: set[_Connection], buffer: memoryview) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._registry = registry
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self.response = _Response()
        self._waiter: asyncio.Future[bool] | None = None
        self._lost = False
        self._failure: Exception | None = None
        self._writable = True
        self._sent = False

    # What a request does

    async def send(self, head: bytes, request: HTTPRequest) -> None:
        """Send the request; stops early if the answer comes before all of it was sent."""
        self.response.begin()
        self._sent = False
        if isinstance(request.body, bytes):
            self._transport.write(head + request.body)
            self._sent = True
        else:
            self._transport.write(head)
            await self._send_body(request.body, "content-length" not in request.headers, request.timeout)

    async def _send_body(self, pieces: AsyncIterator[bytes], chunked: bool, seconds: float | None) -> None:
        async for piece in pieces:
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            # Wait for the socket; an answer before the end of the body is a refusal, so the rest is not sent.
            while not (self._writable or self.response.has_head or self._lost):
                await self._wait_for_data(seconds)
            if self.response.has_head or self._lost:
                return
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        self._sent = True

    async def head(self, seconds: float | None) -> None:
        """Wait for the head of the answer."""
        while not self.response.has_head:
            self._raise_failure()
            await self._wait_for_data(seconds)

    async def body(self, seconds: float | None) -> AsyncIterator[bytes]:
        """The body in pieces, each with all that was received since the one before."""
        while True:
            if self.response.buffered:
                yield self.take()
            elif self.response.complete:
                return
            else:
                self._raise_failure()
                await self._wait_for_data(seconds)

    def take(self) -> bytes:
        """All of the body that was received and not taken yet; there is room for more then."""
        if self.response.buffered > _BUFFERED and not self._lost:
            self._transport.resume_reading()
        return self.response.take()

    @property
    def can_save(self) -> bool:
        """True if `save` can be used: the length is known, and the socket has the bytes as they are."""
        is_plain = sys.platform != "win32" and self._transport.get_extra_info("sslcontext") is None
        return is_plain and self.response.left > 0 and not self._lost

    async def save(self, file: BinaryIO, seconds: float | None) -> AsyncIterator[int]:
        """Write the body to a file; yields the numbers of bytes."""
        from ._receiving import Receiver

        self._transport.pause_reading()
        receiver = Receiver(self._transport.get_extra_info("socket").fileno(), file)
        try:
            if early := self.response.take():
                yield await receiver.write(early)
            left = self.response.left
            while left:
                self._raise_failure()
                if moved := await receiver.receive(left):
                    left -= moved
                    yield moved
                else:
                    await self._wait_for_socket(receiver, seconds)
        finally:
            receiver.close()
        self.response.skip()
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close it at once; does nothing if the loop is closed, and the socket with it."""
        if not (self._lost or self._loop.is_closed()):
            self._transport.abort()

    @property
    def reusable(self) -> bool:
        """True if another request can be sent on it."""
        whole = (
            self.response.complete and self._sent and self.response.buffered <= _BUFFERED
        )  # otherwise reading is paused
        return whole and self.response.keep_alive and not self._lost

    @property
    def usable(self) -> bool:
        """True if it is still open after it was idle."""
        if self._lost or self._transport.is_closing() or time.monotonic() - self.idle_since > KEEP_ALIVE:
            return False
        # Asks the socket: if the loop was blocked, `connection_lost` has not been called yet. Data would be no better.
        return not is_readable(self._transport.get_extra_info("socket").fileno())

    async def _wait_for_data(self, seconds: float | None) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake, True)
        try:
            if await waiter:
                raise TransportTimeoutError("too long without a byte")
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    async def _wait_for_socket(self, receiver: Receiver, seconds: float | None) -> None:
        receiver.watch(self._wake)
        try:
            await self._wait_for_data(seconds)
        finally:
            receiver.unwatch()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._lost:
            raise TransportError("the server closed the connection before its answer was complete")

    def _wake(self, too_late: bool = False) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(too_late)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._registry.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.response.complete:
            self._transport.abort()  # data that no request asked for
            return
        try:
            self.response.feed(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._failure = ProtocolError(str(error))
            self._transport.abort()
        if self.response.buffered > _BUFFERED:
            self._transport.pause_reading()  # until the reader has taken what is buffered
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.discard(self)
        self._lost = True
        if exc is None:
            self.response.end()
        elif self._failure is None:
            self._failure = TransportError(str(exc))
        self._wake()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._wake()


class _Answer(HTTPAnswer):
    """An answer on a connection, which is closed if the body is not read to its end."""

    def __init__(self, transport: DirectTransport, connection: _Connection, seconds: float | None) -> None:
        self.status = connection.response.status
        self.headers = {
            name.lower().decode("latin-1"): value.decode("latin-1") for name, value in connection.response.headers
        }
        self._transport = transport
        self._connection = connection
        self._seconds = seconds
        self._closed = False

    def pieces(self) -> AsyncIterator[bytes]:
        body, encoding = self._connection.body(self._seconds), self.headers.get("content-encoding")
        return body if encoding is None else decompressed(body, encoding)

    def saved(self, file: BinaryIO) -> AsyncIterator[int]:
        if self._connection.can_save and "content-encoding" not in self.headers:
            return self._connection.save(file, self._seconds)
        return super().saved(file)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.release(self._connection)


async def _in_time(connecting: Coroutine[Any, Any, _Connection], seconds: float) -> _Connection:
    """The connection; raises `TransportTimeoutError`, but not if the loop was blocked in the meantime."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(connecting)
    try:
        while not task.done():
            began = loop.time()
            await asyncio.wait({task}, timeout=seconds)
            # If the loop was blocked, the connection may be open without its callback having run: wait once more.
            if not task.done() and loop.time() - began < seconds + _BUSY:
                raise TransportTimeoutError("connecting took too long")
        return task.result()
    except BaseException:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            task.result().abort()  # it was opened at the moment of the cancellation
        raise


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _tls_context() -> ssl.SSLContext:
    """A context that trusts the certificates in SSL_CERT_FILE or SSL_CERT_DIR, or else those of certifi."""
    import certifi

    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context(cafile=file or (None if folder else certifi.where()), capath=folder)
    context.set_alpn_protocols(["http/1.1"])
    return context
