"""A TCP proxy in front of a service that loses the first answer to each request that can come twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_HEAD = re.compile(rb"(?:POST|DELETE) [^\r\n]+ HTTP/1\.1\r\n")
_ID = re.compile(rb"\r\nx-request-id: *([^\r\n]+)\r\n", re.IGNORECASE)


class LosingProxy:
    """Forwards bytes, and cuts a connection when the first answer to an `x-request-id` comes back on it."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._upstream = (parts.hostname or "", parts.port or 0)
        self._port = 0
        self._seen: set[bytes] = set()
        self._handling: set[asyncio.Future[None]] = set()
        self.lost: list[bytes] = []
        """The first lines of the requests whose answers were lost."""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Its base URL."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        try:
            self._port = server.sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{self._port}"
        finally:
            server.close()
            for task in self._handling:
                task.cancel()
            await asyncio.gather(*self._handling, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._forward(reader, writer))
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        doomed = asyncio.Event()
        ways = [
            asyncio.create_task(self._requests(reader, up_writer, doomed)),
            asyncio.create_task(self._answers(up_reader, writer, doomed)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for stream in (writer, up_writer):
                stream.transport.abort()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while (data := await reader.read(65536)) and not doomed.is_set():
            writer.write(data)
            await writer.drain()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            head, found = _HEAD.match(data), _ID.search(data)
            if head is not None and found is not None and found[1] not in self._seen:
                self._seen.add(found[1])
                self.lost.append(head[0].strip())
                doomed.set()
            # The service refuses hosts that are not its own.
            writer.write(data.replace(b":%d\r\n" % self._port, b":%d\r\n" % self._upstream[1]))
            await writer.drain()
