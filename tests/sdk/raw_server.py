"""A server that answers each request with the bytes it was given, and remembers what was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes, *, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    """A well-formed answer."""
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


@asynccontextmanager
async def serving(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The base URL of a server of `handle`; at the end all its connections are closed."""
    open_ones: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))
        open_ones[task] = writer
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await task
        writer.close()

    server = await asyncio.start_server(tracked, "127.0.0.1", 0, backlog=1024, ssl=tls)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task, writer in open_ones.items():
            task.cancel()
            if not writer.transport.is_closing():
                writer.transport.abort()
        await asyncio.gather(*open_ones, return_exceptions=True)
        await asyncio.sleep(0)


class RawServer:
    """`answers` are given in turn, the last one for ever.

    After an answer, which comes after `delay` seconds, it reads on, or `ends` the connection, or `stays` until the
    client has gone.
    """

    def __init__(self, *answers: bytes, ends: bool = False, stays: bool = False, delay: float = 0.0) -> None:
        self._answers = list(answers)
        self._delay = delay
        self._ends = ends
        self._stays = stays
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Its base URL."""
        async with serving(self._handle) as url:
            yield url

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await self._take(reader)
                await asyncio.sleep(self._delay)
                writer.write(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
                await writer.drain()
                if self._ends:
                    return
                if self._stays:
                    await reader.read(1)  # nothing comes, until the client has gone
                    return
        finally:
            self.closed.set()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        if fields.get("transfer-encoding") == "chunked":
            self.bodies.append(b"".join([piece async for piece in _chunks(reader)]))
        else:
            self.bodies.append(await reader.readexactly(int(fields.get("content-length", "0"))))


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with thirty bytes in 1.5 seconds."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n")
    for _ in range(30):
        await asyncio.sleep(0.05)
        writer.write(b"x")


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readline()).strip(), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
