"""A server of canned answers, as cheap as Python allows: `python -m benchmarks.canned_server [delay in ms]`.

HTTP/1.1 with keep-alive on a bare asyncio protocol, so that a benchmark measures its client. Each answer waits for the
delay, as over a long line. It prints its URL and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import Any

import httptools

EVENTS = 200_000
"""How many the execution `flood` sends."""
LINE = "a line of output, as commands print them\n"
PIECE = bytes(256 * 1024)
_SSE = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"


def view(devbox_id: str) -> dict[str, Any]:
    """A devbox as the API shows it."""
    states = [{"status": s, "transition_time_ms": 1_700_000_000_000} for s in ("queued", "provisioning", "running")]
    return {
        "id": devbox_id,
        "name": "bench",
        "status": "running",
        "create_time_ms": 1_700_000_000_000,
        "end_time_ms": None,
        "metadata": {"team": "blue"},
        "capabilities": [],
        "launch_parameters": {"resource_size_request": "SMALL"},
        "state_transitions": states,
    }


def execution(execution_id: str) -> dict[str, Any]:
    """A command that has ended."""
    long = execution_id == "flood"
    output = {"stdout": "hello\n", "stderr": "", "stdout_truncated": long, "stderr_truncated": False}
    return {"devbox_id": "dbx_1", "execution_id": execution_id, "status": "completed", "exit_status": 0, **output}


def answer(body: object) -> list[bytes]:
    """A JSON answer."""
    content = json.dumps(body).encode()
    return [b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content), content]


def events(number: int) -> Iterator[bytes]:
    """A body of so many frames."""
    yield b"HTTP/1.1 200 OK\r\n" + _SSE + b"\r\n"
    for start in range(0, number, 100):
        texts = [(n + 1) * len(LINE) for n in range(start, min(start + 100, number))]
        frames = "".join(f"data: {json.dumps({'output': LINE, 'offset': n})}\n\n" for n in texts).encode()
        yield b"%x\r\n%b\r\n" % (len(frames), frames)
    yield b"0\r\n\r\n"


def download(size: int) -> Iterator[bytes]:
    """A body of so many bytes."""
    kind = b"content-type: application/octet-stream\r\n"
    return chain(
        [b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (kind, size)],
        repeat(PIECE, size // len(PIECE)),
        [PIECE[: size % len(PIECE)]],
    )


ONE = answer(view("dbx_1"))
PAGE = answer({"devboxes": [view(f"dbx_{n}") for n in range(1000)], "has_more": False, "total_count": 1000})
HELLO = [next(events(0)), b'2b\r\ndata: {"output": "hello\\n", "offset": 6}\n\n\n\r\n', b"0\r\n\r\n"]
SILENT = list(events(0))
FLOOD = list(events(EVENTS))


def respond(method: str, path: str, query: str, body: bytes) -> Iterator[bytes]:
    """The answer to one request, in pieces."""
    if path.endswith("/stream_stdout_updates"):
        if "/flood/" in path:
            return iter(SILENT if query == f"offset={EVENTS * len(LINE)}" else FLOOD)
        return iter(HELLO)
    if path.endswith("/stream_stderr_updates"):
        return iter(SILENT)
    if path.endswith("/download_file"):
        return download(int(json.loads(body)["path"]))
    if path.endswith("/upload_file"):
        return iter(answer({}))
    if method == "GET":
        return iter(PAGE if path == "/v1/devboxes" else ONE)
    asked = json.loads(body or b"{}")
    found = re.search("/executions/([^/]+)/", path)
    view = execution(found[1] if found else asked.get("command_id") or asked["command"])
    return iter(answer(view | {"status": "running"} if path.endswith("/execute_async") else view))


class Canned(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._parser = httptools.HttpRequestParser(self)
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    # httptools calls these
    def on_url(self, url: bytes) -> None:
        self._path, _, self._query = url.decode().partition("?")
        self._body: list[bytes] = []

    def on_body(self, body: bytes) -> None:
        if not self._path.endswith("/upload_file"):
            self._body.append(body)

    def on_message_complete(self) -> None:
        pieces = respond(self._parser.get_method().decode(), self._path, self._query, b"".join(self._body))
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._write, pieces)
        else:
            self._write(pieces)

    def _write(self, pieces: Iterator[bytes]) -> None:
        """Small answers at once, long ones as the client reads them."""
        first = list(islice(pieces, 4))
        if len(first) < 4:
            self._transport.write(b"".join(first))
        else:
            self._task = asyncio.ensure_future(self._stream(first, pieces))

    async def _stream(self, first: list[bytes], rest: Iterator[bytes]) -> None:
        for piece in chain(first, rest):
            if self._transport.is_closing():
                return
            self._transport.write(piece)
            await self._room.wait()


async def serve(delay: float) -> None:
    """Serve until standard input ends."""
    server = await asyncio.get_running_loop().create_server(lambda: Canned(delay), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0))
