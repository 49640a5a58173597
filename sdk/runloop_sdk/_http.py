"""HTTP/1.1 on bare asyncio connections, parsed in C by httptools: an httpx transport with the costs of a socket.

httpx's own transport spends most of a short call in its connection pool and in a parser written in Python. This one
reaches a server directly; proxies are left to httpx's own.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

import httptools
import httpx

KEEP_ALIVE = 30.0
"""Seconds after which an unused connection is not trusted any more."""
_SECOND_ADDRESS_DELAY = 0.25
_READ_SIZE = 1 << 18
_BUFFERED = 1 << 20
Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}


def is_replaced() -> bool:
    """Whether something, in most cases a test, stands in for httpx's own transport (respx, pytest-httpx, vcrpy)."""
    httpcore = sys.modules.get("httpcore")  # costs as much to import as httpx; who replaces it has imported it
    pool = getattr(httpcore, "AsyncConnectionPool", None)
    return _is_foreign(httpx.AsyncHTTPTransport) or (pool is not None and _is_foreign(pool))


def _is_foreign(owner: type) -> bool:
    method = vars(owner)["handle_async_request"]
    return hasattr(method, "__wrapped__") or _package(method) != _package(owner)


def _package(thing: object) -> str:
    return getattr(thing, "__module__", "").partition(".")[0]


class DirectTransport(httpx.AsyncBaseTransport):
    """Keeps connections alive between requests; made for one event loop."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._tls: ssl.SSLContext | None = None
        self._buffer = memoryview(bytearray(_READ_SIZE))  # one for all: what is read into it is parsed at once

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to `request`, its body still to be read unless it came at once with the head."""
        timeouts = request.extensions.get("timeout", {})
        connection = await self._connect(request.url, timeouts.get("connect"))
        try:
            await connection.send(request, timeouts.get("write"))
            await connection.head(timeouts.get("read"))
            response = self._response(connection, timeouts.get("read"))
        except BaseException:
            connection.abort()  # also when cancelled: the server sees at once that nobody waits any more
            raise
        if connection.complete:
            self.release(connection)
        return response

    def _response(self, connection: _Connection, seconds: float | None) -> httpx.Response:
        if connection.complete:
            return httpx.Response(connection.status, headers=connection.headers, content=connection.take())
        stream = _Body(self, connection, seconds)
        return httpx.Response(connection.status, headers=connection.headers, stream=stream)

    async def aclose(self) -> None:
        """Close every connection, also those in use."""
        for connection in tuple(self._open):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    def release(self, connection: _Connection) -> None:
        """Keep a connection for the next request if its exchange is over, else close it."""
        if connection.reusable:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(connection.origin, deque()).append(connection)
        else:
            connection.abort()

    async def _connect(self, url: httpx.URL, seconds: float | None) -> _Connection:
        origin = (url.scheme, url.host, url.port or _PORTS[url.scheme])
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.fresh:
                return connection
            connection.abort()
        return await self._dial(origin, seconds)

    async def _dial(self, origin: Origin, seconds: float | None) -> _Connection:
        scheme, host, port = origin
        loop, delay = asyncio.get_running_loop(), None if _is_address(host) else _SECOND_ADDRESS_DELAY
        try:
            async with asyncio.timeout(seconds):
                tls = await self._tls_context() if scheme == "https" else None
                _, connection = await loop.create_connection(
                    lambda: _Connection(origin, self._open, self._buffer),
                    host,
                    port,
                    ssl=tls,
                    happy_eyeballs_delay=delay,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("connecting took too long") from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return connection

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)  # reads the certificates: 30 ms
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class _Connection(asyncio.BufferedProtocol):
    """One connection, which carries one request and its answer at a time."""

    def __init__(self, origin: Origin, registry: set[_Connection], buffer: memoryview) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._registry = registry
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[bool] | None = None
        self._lost = False
        self._failure: Exception | None = None
        self._writable = True
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self._has_head = False
        self._has_length = False
        self._keep_alive = False
        self._sent = False
        self._pieces: deque[bytes] = deque()
        self._buffered = 0

    # What a request does

    async def send(self, request: httpx.Request, seconds: float | None) -> None:
        """Send the request; stops early when the answer comes before all of it was sent."""
        self._begin()
        if isinstance(request.stream, httpx.ByteStream):
            self._transport.write(b"".join([_head(request), *request.stream]))
            self._sent = True
        else:
            self._transport.write(_head(request))
            await self._send_body(request, seconds)

    async def _send_body(self, request: httpx.Request, seconds: float | None) -> None:
        chunked = "content-length" not in request.headers
        async for piece in cast("httpx.AsyncByteStream", request.stream):
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            while not (self._writable or self._has_head or self._lost):
                await self._news(seconds, httpx.WriteTimeout)
            if self._has_head or self._lost:
                return
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        self._sent = True

    async def head(self, seconds: float | None) -> None:
        """Wait for the head of the answer."""
        while not self._has_head:
            self._raise_failure()
            await self._news(seconds, httpx.ReadTimeout)

    async def body(self, seconds: float | None) -> AsyncIterator[bytes]:
        """The body in pieces, each as much as came since the one before."""
        while True:
            if self._pieces:
                yield self.take()
            elif self.complete:
                return
            else:
                self._raise_failure()
                await self._news(seconds, httpx.ReadTimeout)

    def take(self) -> bytes:
        """All that has come of the body and was not taken yet."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._buffered > _BUFFERED and not self._lost:
            self._transport.resume_reading()
        self._buffered = 0
        return data

    def abort(self) -> None:
        """Close it at once; nothing to do when its loop is gone, and its socket with it."""
        if not (self._lost or self._loop.is_closed()):
            self._transport.abort()

    @property
    def reusable(self) -> bool:
        """Whether another request can follow."""
        whole = self.complete and self._sent and self._buffered <= _BUFFERED  # more, and it does not read on
        return whole and self._keep_alive and not self._lost

    @property
    def fresh(self) -> bool:
        """Whether it is still open after it was idle; a loop that was busy elsewhere has not heard of its end yet."""
        if self._lost or self._transport.is_closing() or time.monotonic() - self.idle_since > KEEP_ALIVE:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    async def _news(self, seconds: float | None, too_late: type[httpx.TimeoutException]) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake, True)
        try:
            if await waiter:
                raise too_late("too long without a byte")
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._lost:
            raise httpx.RemoteProtocolError("the server closed the connection before its answer was complete")

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
        if self.complete:
            self._transport.abort()  # nobody asked
            return
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._failure = httpx.RemoteProtocolError(f"the answer is no HTTP: {error}")
            self._transport.abort()
        if self._buffered > _BUFFERED:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.discard(self)
        self._lost = True
        if exc is None and self._has_head and not self._has_length:
            self.complete = True  # such a body ends with the connection
        elif exc is not None and self._failure is None:
            self._failure = httpx.ReadError(str(exc))
        self._wake()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._wake()

    # What httptools calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
        if len(name) in (14, 17):
            self._has_length = self._has_length or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self._has_head:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()
        else:
            self.headers.clear()  # 100 Continue and its like: the answer is still to come


class _Body(httpx.AsyncByteStream):
    """The body of an answer; closed before its end, it closes the connection."""

    def __init__(self, transport: DirectTransport, connection: _Connection, seconds: float | None) -> None:
        self._transport = transport
        self._connection = connection
        self._seconds = seconds
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.body(self._seconds)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.release(self._connection)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _head(request: httpx.Request) -> bytes:
    line = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
    fields = request.headers.raw
    head = b"".join([line, *[b"%b: %b\r\n" % field for field in fields], b"\r\n"])
    if not head.count(b"\n") == head.count(b"\r") == len(fields) + 2 or b"\0" in head:
        raise httpx.LocalProtocolError("a header has a line break or a NUL")
    return head
