"""A service that runs one command per devbox and misbehaves on a schedule drawn from the devbox's id.

It cuts, delays and truncates, answers with every status that means "again", with and without a delay told; its
offsets are a frame's first byte or the byte after it, it knows spans or not, and it may ignore the offset asked for.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.sdk.raw_server import serving

STREAMS = ("stdout", "stderr")
STATUSES = (408, 409, 429, 500, 502, 503)
DELAYS = ("", "retry-after: 0\r\n", "retry-after-ms: 1\r\n", "retry-after: soon\r\n")
LETTERS = ("a", "b ", "0123456789", "ü", "€", "藍", "🜁", "\n", "\n", '"', "\\", "\u2028", "\r", "data: ", "\n\n")


def text(order: random.Random) -> bytes:
    """What one write of the command prints."""
    return "".join(order.choices(LETTERS, k=order.randint(1, 60))).encode()


@dataclass
class Command:
    """A command, all that it prints, and how this devbox's service behaves."""

    seed: int
    faults: int
    """How many are left."""
    order: random.Random = field(init=False)
    requests: list[str] = field(default_factory=list)
    starts: set[str] = field(default_factory=set)
    execution_id: str | None = None

    def __post_init__(self) -> None:
        order = self.order = random.Random(self.seed)
        self.writes = [(order.choice(STREAMS), text(order)) for _ in range(order.randint(0, 40))]
        self.offset_is_end, self.spans, self.deaf = order.random() < 0.5, order.random() < 0.5, order.random() < 0.15
        self.tells_output = order.random() < 0.6
        self.looks = order.randint(0, 2)
        """How often a wait for its end runs out."""

    def output(self, stream: str) -> bytes:
        """All of one stream."""
        return b"".join(data for name, data in self.writes if name == stream)

    def frames(self, stream: str, offset: int) -> Iterator[dict[str, Any]]:
        """The frames of one answer, cut anew each time, never in a character."""
        if self.deaf:
            offset = 0
        own = merged = 0
        for name, data in self.writes:
            if name == stream:
                for start, end in self.pieces(data, max(0, offset - own)):
                    place = own + (end if self.offset_is_end else start)
                    span = {"span": [merged + start, merged + end]} if self.spans else {}
                    yield {"output": data[start:end].decode(), "offset": place, **span}
                own += len(data)
            merged += len(data)

    def pieces(self, data: bytes, start: int) -> Iterator[tuple[int, int]]:
        """Ranges of whole characters from `start` on."""
        while start < len(data):
            end = min(len(data), start + self.order.randint(1, 100))
            while end < len(data) and data[end] & 0xC0 == 0x80:
                end += 1
            yield start, end
            start = end

    def fails(self) -> bool:
        """Whether the next answer is one of the bad ones."""
        if self.faults and self.order.random() < 0.5:
            self.faults -= 1
            return True
        return False

    def view(self) -> dict[str, Any]:
        """The command, ended."""
        shown = {name: self.output(name).decode() for name in STREAMS} if self.tells_output else {}
        return {"devbox_id": f"dbx_{self.seed}", "execution_id": self.execution_id, "status": "completed"} | shown


class FaultServer:
    """Serves commands by devbox id: `dbx_<seed>`."""

    def __init__(self, *, faults: int = 12) -> None:
        self._faults = faults
        self.commands: dict[int, Command] = {}
        self.open = self.most_open = 0
        """Connections, now and at most."""

    def command(self, seed: int) -> Command:
        """The command of a devbox."""
        return self.commands.setdefault(seed, Command(seed, self._faults))

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Its base URL."""
        async with serving(self._handle) as url:
            yield url

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await self._answer_all(reader, writer)
        finally:
            self.open -= 1

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(CutError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                size = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = json.loads((await reader.readexactly(int(size[1])) if size else b"") or b"{}")
                await self._answer(head, body, writer)
                await writer.drain()

    async def _answer(self, head: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        url = urlsplit(target)
        seed = re.search(r"/dbx_(\d+)", url.path)
        assert seed is not None, target
        command = self.command(int(seed[1]))
        command.requests.append(f"{method} {url.path}")
        stream = re.search("stream_(std...)_updates", url.path)
        answer = Answer(command, writer)
        if stream:
            await answer.stream(stream[1], int(parse_qs(url.query).get("offset", ["0"])[0]))
        elif "/execute" in url.path:
            key = re.search("x-request-id: (.*)\r", head)
            assert key is not None
            await answer.start(key[1], body)
        elif url.path.endswith("/wait_for_status"):
            await answer.wait()
        elif method == "GET":
            await answer.look()
        else:
            await answer.json(200, {})


class CutError(Exception):
    """The connection ends here."""


@dataclass
class Answer:
    """One answer of a service that misbehaves."""

    command: Command
    writer: asyncio.StreamWriter

    async def start(self, key: str, body: dict[str, Any]) -> None:
        """Start the command, once for each key; the answer may be lost all the same."""
        if self.command.fails() and self.command.order.random() < 0.5:
            await self.misbehave()
            return
        self.command.starts.add(key)
        self.command.execution_id = body.get("command_id") or "exec_1"
        if self.command.fails():
            await self.misbehave()
        else:
            status = {} if self.command.order.random() < 0.5 else {"status": "running"}
            await self.json(200, self.command.view() | status)

    async def wait(self) -> None:
        """Whether it has ended."""
        if self.command.fails():
            await self.misbehave()
        elif self.command.looks:
            self.command.looks -= 1
            await self.json(408, {"message": "still running"})
        else:
            await self.json(200, self.command.view())

    async def look(self) -> None:
        """How it is."""
        if self.command.fails():
            await self.misbehave()
        else:
            await self.json(200, self.command.view() | ({"status": "running"} if self.command.looks else {}))

    async def misbehave(self) -> None:
        """Anything but an answer."""
        order = self.command.order
        kind = order.choice(["status", "status", "cut", "truncate"])
        if kind == "status":
            status = order.choice(STATUSES)
            await self.json(status, {"message": "again", "retryable": True}, order.choice(DELAYS))
        else:
            if kind == "truncate":
                self.writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"status": "comp')
            await self.cut()

    async def json(self, status: int, body: object, headers: str = "") -> None:
        """A whole answer."""
        content = json.dumps(body).encode()
        head = (
            f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{headers}content-length: {len(content)}\r\n\r\n"
        )
        self.writer.write(head.encode() + content)

    async def cut(self) -> None:
        """End the connection, in one of the two ways that a network knows."""
        if self.command.order.random() < 0.5:
            self.writer.transport.abort()
        else:
            await self.writer.drain()
        raise CutError

    async def stream(self, name: str, offset: int) -> None:
        """The output from `offset` on, or a part of it, or nothing."""
        command, order = self.command, self.command.order
        if command.execution_id is None:
            await self.json(404, {"message": "no such execution"})
            return
        fails = command.fails()
        if fails and order.random() < 0.3:
            await self.misbehave()
            return
        frames = [f"data: {json.dumps(frame)}\n\n".encode() for frame in command.frames(name, offset)]
        await self.frames(frames, fails)

    async def frames(self, frames: list[bytes], fails: bool) -> None:
        """A body in chunks of any size, with pings between, whole or not."""
        order = self.command.order
        kind = order.choice(["cut", "end", "close", "error"]) if fails else "whole"
        if kind in ("end", "close") and not self.command.tells_output:
            kind = "cut"  # nobody could tell those from the end
        body = b"".join(b": ping\n\n" * (order.random() < 0.1) + frame for frame in frames)
        chunked = kind != "close"
        if kind == "error":
            body = b"".join(frames[: order.randint(0, len(frames))])
            body += b'event: error\ndata: {"code": %d}\n\n' % order.choice((408, 429, 500, 503))
        elif kind != "whole":
            body = body[: order.randint(0, len(body))]
        self.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        self.writer.write(b"transfer-encoding: chunked\r\n\r\n" if chunked else b"connection: close\r\n\r\n")
        await self.body(body, chunked=chunked)
        if kind in ("cut", "close"):
            await (self.cut() if kind == "cut" else self.close())
        self.writer.write(b"0\r\n\r\n")

    async def close(self) -> None:
        """An end in good order."""
        await self.writer.drain()
        raise CutError

    async def body(self, body: bytes, *, chunked: bool) -> None:
        """In pieces, some of them late."""
        order = self.command.order
        while body:
            piece, body = body[: (size := order.randint(1, 3000))], body[size:]
            self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if order.random() < 0.2:
                await self.writer.drain()
                await asyncio.sleep(order.choice((0, 0, 0.001)))
