"""A proxy between a client and a service that injects the faults of a schedule."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import h11

from tests.sdk import raw_server

from .upstream import READ, Upstream

if TYPE_CHECKING:
    from .schedules import Course, Fault

_HEARTBEAT = re.compile(rb"(?:^|(?<=\r\n))[0-9a-f]+\r\n(?::[^\n]*\n\n)+\r\n")
_DRIPS = 40
_RESET = struct.pack("ii", 1, 0)


class CutError(Exception):
    """Close the client's connection."""


@dataclass(frozen=True, slots=True)
class Request:
    """One complete request, as it was sent."""

    head: h11.Request
    raw: bytes

    @property
    def line(self) -> bytes:
        """The request line."""
        return self.raw.split(b"\r\n", 1)[0]


class FaultProxy:
    """Forwards requests to the service at `base_url`, with the faults of a course."""

    def __init__(self, base_url: str, course: Course) -> None:
        parts = urlsplit(base_url)
        self._upstream = (parts.hostname or "", parts.port or 0)
        self._port = 0
        self.headers = {"host": parts.netloc}  # what the service expects: it refuses foreign names
        self._course = course
        self.log: list[str] = []
        """The requests and their faults."""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve during the block; yields the proxy's base URL."""
        async with raw_server.serving(self._accept) as url:
            self._port = urlsplit(url).port or 0
            yield url

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(CutError, ConnectionError, h11.RemoteProtocolError):
                await Connection(self, reader, writer).run()
        finally:
            writer.transport.abort()

    def fault(self, request: Request) -> Fault | None:
        """The fault for a request, or None."""
        fault = self._course.next(request.line)
        self.log.append(f"{request.line.decode(errors='replace')}{f' <- {fault.action}' if fault else ''}")
        return fault

    def known(self, raw: bytes) -> bytes:
        """Replace the proxy's port by the service's in a Host header that names a tunnel."""
        head, end, body = raw.partition(b"\r\n\r\n")
        own, theirs = (f".tunnel.localhost:{port}".encode() for port in (self._port, self._upstream[1]))
        return head.replace(own, theirs) + end + body

    @property
    def heartbeats(self) -> bool:
        """True if comments of streams are forwarded."""
        return self._course.heartbeats

    async def connect(self) -> Upstream:
        """Connect to the service."""
        return Upstream(*await asyncio.open_connection(*self._upstream))


class Connection:
    """A client's connection, and the connection to the service behind it."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._upstream: Upstream | None = None
        self._actions: dict[str, Callable[[Request, Fault], Coroutine[Any, Any, None]]] = {
            "cut request": self._cut_request,
            "cut answer": self._cut_answer,
            "reset answer": self._reset_answer,
            "end early": self._end_early,
            "refuse": self._refuse,
            "status before": self._status_before,
            "status after": self._status_after,
            "twice at once": self._twice_at_once,
            "twice": self._twice,
            "late request": self._late_request,
            "late answer": self._late_answer,
            "lost answer": self._lost_answer,
            "drip": self._drip,
            "idle cut": self._idle_cut,
        }

    async def run(self) -> None:
        """Forward requests until either side ends."""
        try:
            while (request := await self._request()) is not None:
                fault = self._proxy.fault(request)
                if b"upgrade" in dict(request.head.headers).get(b"connection", b"").lower():
                    await self._upgrade(request, fault)
                    return
                if fault is None:
                    await self._forward(request)
                else:
                    await self._actions[fault.action](request, fault)
        finally:
            if self._upstream is not None:
                self._upstream.close()

    async def _request(self) -> Request | None:
        framing, raw, head = h11.Connection(our_role=h11.SERVER), b"", None
        while True:
            event = framing.next_event()
            if event is h11.NEED_DATA:
                data = await self._reader.read(READ)
                if not data:
                    return None
                raw += data
                framing.receive_data(data)
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return Request(head, self._proxy.known(raw))

    async def _up(self) -> Upstream:
        if self._upstream is None or self._upstream.reader.at_eof():
            self._upstream = await self._proxy.connect()
        return self._upstream

    async def _asked(self, request: Request) -> AsyncIterator[bytes]:
        upstream = await self._up()
        await upstream.send(request.raw)
        async for data in upstream.answer(request.head.method):
            yield data if self._proxy.heartbeats else _HEARTBEAT.sub(b"", data)

    async def _forward(self, request: Request) -> None:
        async for data in self._asked(request):
            self._writer.write(data)
            await self._writer.drain()
        if self._upstream is not None and self._upstream.reader.at_eof():
            raise CutError  # the service has closed the connection, and so does the proxy

    async def _cut_request(self, request: Request, fault: Fault) -> None:
        await (await self._up()).send(request.raw[: fault.after])
        await asyncio.sleep(fault.seconds / 10)
        raise CutError

    async def _cut_answer(self, request: Request, fault: Fault) -> None:
        left = fault.after
        async for data in self._asked(request):
            self._writer.write(data[:left])
            left -= len(data)
            if left <= 0:
                break
        await self._writer.drain()
        raise CutError

    async def _reset_answer(self, request: Request, fault: Fault) -> None:
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        await self._cut_answer(request, fault)

    async def _end_early(self, request: Request, fault: Fault) -> None:
        """End a stream early, but regularly, as its client can check if it is complete; other responses are cut."""
        if not _is_endless(request):
            await self._cut_answer(request, fault)
        sent, head = b"", b""
        async for data in self._asked(request):
            head += b"" if b"\r\n\r\n" in head else data
            sent += data
            if len(sent) >= fault.after and b"\r\n\r\n" in head:
                break
        if b"transfer-encoding: chunked" in head.lower():
            self._writer.write(_whole_chunks(sent, fault.after))
        else:
            self._writer.write(sent[: fault.after])
        await self._writer.drain()
        raise CutError

    async def _refuse(self, _request: Request, _fault: Fault) -> None:
        raise CutError

    async def _status_before(self, _request: Request, fault: Fault) -> None:
        body = b'{"message": "not now"}'
        head = f"HTTP/1.1 {fault.status} Not Now\r\ncontent-type: application/json\r\n{fault.told}"
        self._writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await self._writer.drain()

    async def _status_after(self, request: Request, fault: Fault) -> None:
        async for _ in self._asked(request):
            if _is_endless(request):
                break
        self._drop_upstream(request)
        await self._status_before(request, fault)

    async def _twice_at_once(self, request: Request, fault: Fault) -> None:
        again = asyncio.create_task(self._again(request))
        try:
            await self._forward(request)
        finally:
            await asyncio.wait({again}, timeout=fault.seconds)
            again.cancel()

    async def _twice(self, request: Request, fault: Fault) -> None:
        await self._forward(request)
        with suppress(TimeoutError):
            async with asyncio.timeout(fault.seconds):
                await self._again(request)

    async def _again(self, request: Request) -> None:
        upstream = await self._proxy.connect()
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError):
                await upstream.send(request.raw)
                async for _ in upstream.answer(request.head.method):
                    pass
        finally:
            upstream.close()

    async def _late_request(self, request: Request, fault: Fault) -> None:
        await asyncio.sleep(fault.seconds)
        await self._forward(request)

    async def _late_answer(self, request: Request, fault: Fault) -> None:
        late = False
        async for data in self._asked(request):
            if not late:
                late = True
                await asyncio.sleep(fault.seconds)
            self._writer.write(data)
            await self._writer.drain()

    async def _lost_answer(self, request: Request, fault: Fault) -> None:
        async for _ in self._asked(request):
            break
        await asyncio.sleep(3 * fault.seconds)
        raise CutError

    async def _drip(self, request: Request, fault: Fault) -> None:
        upstream = await self._up()
        for piece in _pieces(request.raw):
            await upstream.send(piece)
            await asyncio.sleep(fault.seconds / _DRIPS)
        async for data in upstream.answer(request.head.method):
            for piece in _pieces(data):
                self._writer.write(piece)
                await self._writer.drain()
                await asyncio.sleep(fault.seconds / _DRIPS)

    async def _idle_cut(self, request: Request, fault: Fault) -> None:
        await self._forward(request)
        await asyncio.sleep(fault.seconds / 20)
        raise CutError

    def _drop_upstream(self, request: Request) -> None:
        if self._upstream is not None and _is_endless(request):
            self._upstream.close()
            self._upstream = None

    async def _upgrade(self, request: Request, fault: Fault | None) -> None:
        """Relay a WebSocket; any fault cuts it after a number of bytes."""
        upstream = await self._up()
        await upstream.send(request.raw)
        left = None if fault is None else 300 + fault.after
        asking = asyncio.create_task(_copy(self._reader, upstream.writer))
        try:
            while data := await upstream.reader.read(READ):
                self._writer.write(data if left is None else data[:left])
                await self._writer.drain()
                if left is not None and (left := left - len(data)) <= 0:
                    return
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ):
        writer.write(data)
        await writer.drain()


def _is_endless(request: Request) -> bool:
    return b"stream_std" in request.line or b"subscribe" in request.line


def _pieces(data: bytes) -> list[bytes]:
    """Split data into small pieces at first, and the rest in one."""
    some = [data[at : at + 7] for at in range(0, min(len(data), 7 * _DRIPS), 7)]
    return [*some, data[7 * _DRIPS :]] if len(data) > 7 * _DRIPS else some


def _whole_chunks(sent: bytes, at_most: int) -> bytes:
    """The head, as many complete chunks as fit, and the final chunk."""
    head, _, body = sent.partition(b"\r\n\r\n")
    kept, at = head + b"\r\n\r\n", 0
    while (found := re.compile(rb"([0-9a-fA-F]+)\r\n").match(body, at)) and int(found[1], 16):
        end = found.end() + int(found[1], 16) + 2
        if end > min(len(body), at_most):
            break
        kept, at = kept + body[at:end], end
    return kept + b"0\r\n\r\n"
