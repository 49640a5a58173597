"""A TCP proxy in front of a service that cuts connections, as networks do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from tests.sdk.raw_server import serving


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
        self.down = False
        self.silent = False
        """Whether new connections are dead from their beginning."""
        self.requests: list[bytes] = []
        self._open: set[asyncio.Task[Any]] = set()
        self._dead: set[asyncio.Task[Any]] = set()

    def asked(self, word: bytes) -> int:
        """How many requests had this in their first line."""
        return sum(word in line for line in self.requests)

    def go_down(self) -> None:
        """Cut all connections, and each new one at once, until `down` is set back."""
        self.down = True
        self.cut_all()

    def cut_all(self) -> None:
        """Cut all connections that there are now."""
        for task in tuple(self._open):
            task.cancel()

    def fall_silent(self) -> None:
        """Let all connections that there are now be dead without a reset: nothing goes through, nothing ends them."""
        self._dead |= self._open

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Its base URL."""
        async with serving(self._handle) as url:
            yield url

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.transport.abort()
            return
        if self.silent:
            await asyncio.Event().wait()
        connection = asyncio.current_task()
        assert connection is not None
        self._open.add(connection)
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        marked = asyncio.Event()
        asking = asyncio.create_task(self._forward_requests(reader, up_writer, marked, connection))
        try:
            await self._forward_answers(up_reader, writer, marked)
        finally:
            self._open.discard(connection)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            for stream in (writer, up_writer):
                stream.transport.abort()

    async def _forward_requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        marked: asyncio.Event,
        connection: asyncio.Task[Any],
    ) -> None:
        while data := await reader.read(65536):
            if connection in self._dead:
                continue
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
                if asyncio.current_task() in self._dead:
                    await asyncio.Event().wait()
                if marked.is_set() and self.cut < self.cuts:
                    data, left = data[:left], left - len(data)
                    if left <= 0:
                        self.cut += 1
                        return
                writer.write(data)
                await writer.drain()
