"""HTTP/1.1 on bare asyncio connections, parsed in C by httptools: a request with the costs of a socket.

General clients spend most of a short call in their connection pools, their parsers and their own import. This one
reaches a server directly; proxies, and clients that the caller brings, are left to `_httpx.py`.
"""

from __future__ import annotations

import asyncio
import os
import select
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from typing import Any, cast
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import httptools

from ._messages import (
    HTTPAnswer,
    HTTPRequest,
    NoHTTPError,
    TooLateError,
    TransportError,
    UnreachableError,
    UnsendableError,
    decompressed,
)

KEEP_ALIVE = 30.0
"""Seconds after which an unused connection is not trusted any more."""
_SECOND_ADDRESS_DELAY = 0.25
_DIALS_AT_ONCE = 32
"""A thousand would keep this loop from hearing in time that they are connected."""
_BUSY = 1.0
"""Seconds by which a timer is late only where this loop was kept busy."""
_READ_SIZE = 1 << 18
_BUFFERED = 1 << 20
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}


class DirectTransport:
    """Keeps connections alive between requests; made for one event loop."""

    is_closed = False  # who owns it knows

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._tls: ssl.SSLContext | None = None
        self._dialing = asyncio.Semaphore(_DIALS_AT_ONCE)
        self._buffer = memoryview(bytearray(_READ_SIZE))  # one for all: what is read into it is parsed at once

    async def send(self, request: HTTPRequest) -> HTTPAnswer:
        """The answer to `request`, its body still to be read."""
        url = urlsplit(request.url)
        head = _head(request, url)
        connection = await self._connect(url, request.connect_timeout)
        try:
            await connection.send(head, request)
            await connection.head(request.timeout)
        except BaseException:
            connection.abort()  # also when cancelled: the server sees at once that nobody waits any more
            raise
        return _Answer(self, connection, request.timeout)

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

    async def _connect(self, url: SplitResult, seconds: float) -> _Connection:
        origin = (url.scheme, url.hostname or "", url.port or _PORTS[url.scheme])
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.fresh:
                return connection
            connection.abort()
        return await self._dial(origin, seconds)

    async def _dial(self, origin: Origin, seconds: float) -> _Connection:
        async with self._dialing:
            return await _in_time(self._connected(origin), seconds)

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

    async def send(self, head: bytes, request: HTTPRequest) -> None:
        """Send the request; stops early when the answer comes before all of it was sent."""
        self._begin()
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
            while not (self._writable or self._has_head or self._lost):
                await self._news(seconds)
            if self._has_head or self._lost:
                return
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        self._sent = True

    async def head(self, seconds: float | None) -> None:
        """Wait for the head of the answer."""
        while not self._has_head:
            self._raise_failure()
            await self._news(seconds)

    async def body(self, seconds: float | None) -> AsyncIterator[bytes]:
        """The body in pieces, each as much as came since the one before."""
        while True:
            if self._pieces:
                yield self.take()
            elif self.complete:
                return
            else:
                self._raise_failure()
                await self._news(seconds)

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

    async def _news(self, seconds: float | None) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake, True)
        try:
            if await waiter:
                raise TooLateError("too long without a byte")
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

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
        if self.complete:
            self._transport.abort()  # nobody asked
            return
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._failure = NoHTTPError(str(error))
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
            self._failure = TransportError(str(exc))
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


class _Answer(HTTPAnswer):
    """An answer on a connection; closed before the end of its body, it closes the connection."""

    def __init__(self, transport: DirectTransport, connection: _Connection, seconds: float | None) -> None:
        self.status = connection.status
        self.headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in connection.headers}
        self._transport = transport
        self._connection = connection
        self._seconds = seconds
        self._closed = False

    def pieces(self) -> AsyncIterator[bytes]:
        body, encoding = self._connection.body(self._seconds), self.headers.get("content-encoding")
        return body if encoding is None else decompressed(body, encoding)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.release(self._connection)


async def _in_time(connecting: Coroutine[Any, Any, _Connection], seconds: float) -> _Connection:
    """The connection; raises `TooLateError`, but not for time in which this loop had no turn to hear of it."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(connecting)
    try:
        while not task.done():
            began = loop.time()
            await asyncio.wait({task}, timeout=seconds)
            if not task.done() and loop.time() - began < seconds + _BUSY:
                raise TooLateError("connecting took too long")
        return task.result()
    except BaseException:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            task.result().abort()  # it came with the cancellation
        raise


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _tls_context() -> ssl.SSLContext:
    """Trusts what SSL_CERT_FILE or SSL_CERT_DIR name, else the authorities that browsers trust."""
    import certifi

    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context(cafile=file or (None if folder else certifi.where()), capath=folder)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _head(request: HTTPRequest, url: SplitResult) -> bytes:
    """The request line and the headers; raises `UnsendableError` for what would break them."""
    target = quote(url.path or "/", safe=_PRINTABLE) + ("?" + query_string(request.query) if request.query else "")
    fields = {"host": url.netloc.rpartition("@")[2], **_framing(request), **request.headers}
    lines = [f"{request.method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in fields.items()], "", ""]
    try:
        head = "\r\n".join(lines).encode("ascii")
    except UnicodeEncodeError as error:
        raise UnsendableError("a header is no ASCII") from error
    if not head.count(b"\n") == head.count(b"\r") == len(fields) + 2 or b"\0" in head:
        raise UnsendableError("a header has a line break or a NUL")
    return head


def _framing(request: HTTPRequest) -> dict[str, str]:
    """How the length of the body is told, where the caller's headers do not."""
    if not isinstance(request.body, bytes):
        return {} if "content-length" in request.headers else {"transfer-encoding": "chunked"}
    return {"content-length": str(len(request.body))} if request.body or request.method != "GET" else {}


def query_string(query: Mapping[str, Any]) -> str:
    """`query` as a URL has it; a list gives its name once for each value."""
    return urlencode([(name, _written(each)) for name, value in query.items() for each in _each(value)])


def _each(value: object) -> Iterator[object]:
    yield from value if isinstance(value, list | tuple) else (value,)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
