"""Output streams: server-sent events from any offset, live or after the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse
from starlette.routing import Route

from ..engine.output_log import Reader
from .wire import engine_of, integer, path_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.output_log import Frame, OutputLog, Stream

HEARTBEAT_S = 15.0
PING = b": ping\n\n"
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_BATCH_BYTES = 256 * 1024
_encode = json.JSONEncoder(ensure_ascii=False).encode


async def stdout_updates(request: Request) -> Response:
    """GET .../stream_stdout_updates."""
    return await _stream(request, "stdout")


async def stderr_updates(request: Request) -> Response:
    """GET .../stream_stderr_updates."""
    return await _stream(request, "stderr")


async def _stream(request: Request, stream: Stream) -> Response:
    devbox_id, execution_id = path_id(request, "devbox_id"), path_id(request, "execution_id")
    execution = await engine_of(request).devboxes.execution(devbox_id, execution_id)
    offset = integer(request, "offset", 0)
    return StreamingResponse(events(execution.log, stream, offset), 200, HEADERS, "text/event-stream")


async def events(log: OutputLog, stream: Stream, offset: int) -> AsyncIterator[bytes]:
    """The stream from `offset` on, until the execution has ended; a comment now and then while it is silent."""
    reader = Reader(log, stream, offset)
    try:
        while True:
            while batch := _batch(reader):
                yield batch
            if log.finished:
                return
            if not await log.bell.wait(HEARTBEAT_S):
                yield PING
    finally:
        reader.close()


def _batch(reader: Reader) -> bytes:
    """What is there to send, in one piece of bounded size."""
    size, found = 0, []
    while size < _BATCH_BYTES and (frame := reader.read()) is not None:
        found.append(encoded(frame))
        size += len(found[-1])
    return b"".join(found)


def encoded(frame: Frame) -> bytes:
    """One event."""
    begin, end = frame.span
    return f'data: {{"output":{_encode(frame.text)},"offset":{frame.offset},"span":[{begin},{end}]}}\n\n'.encode()


_ONE = "/v1/devboxes/{devbox_id}/executions/{execution_id}"
ROUTES = [
    Route(f"{_ONE}/stream_stdout_updates", stdout_updates, methods=["GET"]),
    Route(f"{_ONE}/stream_stderr_updates", stderr_updates, methods=["GET"]),
]
