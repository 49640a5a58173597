"""A TCP proxy in front of a service that cuts connections, as networks do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class CuttingProxy:
    """Forwards bytes; a connection that asked for a path with `marker` is cut after `limit` bytes of its answer."""

    def __init__(self, base_url: str, *, marker: bytes = b"stream_std", limit: int = 0, cuts: int = 0) -> None:
        parts = urlsplit(base_url)
        self._upstream = (parts.hostname or "", parts.port or 0)
        self.headers = {"host": parts.netloc}  # what the service expects: it refuses foreign names
        self.marker = marker
        self.limit = limit
        self.cuts = cuts
        self.cut = 0
        self.requests: list[bytes] = []

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Its base URL."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        marked = asyncio.Event()
        asking = asyncio.create_task(self._forward_requests(reader, up_writer, marked))
        try:
            await self._forward_answers(up_reader, writer, marked)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            for stream in (writer, up_writer):
                stream.transport.abort()

    async def _forward_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marked: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            line = data.split(b"\r\n", 1)[0]
            self.requests.append(line)
            if self.marker in line:
                marked.set()
            writer.write(data)
            await writer.drain()

    async def _forward_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marked: asyncio.Event
    ) -> None:
        left = self.limit
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(4096):
                if marked.is_set() and self.cut < self.cuts:
                    data, left = data[:left], left - len(data)
                    if left <= 0:
                        self.cut += 1
                        return
                writer.write(data)
                await writer.drain()
