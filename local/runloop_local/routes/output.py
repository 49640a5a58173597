"""Output streams of executions: server-sent events from any offset, live or after the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.json import encode
from starlette.routing import Route

from ..engine.devbox.output_log import Reader
from .event_stream import event_stream
from .wire import engine_of, integer, path_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.devbox.output_log import Frame, OutputLog, Stream
    from ..engine.fair_queue import Flow


async def stdout_updates(request: Request) -> Response:
    """GET .../stream_stdout_updates."""
    return await _stream(request, "stdout")


async def stderr_updates(request: Request) -> Response:
    """GET .../stream_stderr_updates."""
    return await _stream(request, "stderr")


async def _stream(request: Request, stream: Stream) -> Response:
    devbox_id, execution_id = path_id(request, "devbox_id"), path_id(request, "execution_id")
    engine = engine_of(request)
    execution = await engine.executions.get(devbox_id, execution_id)
    execution.log.require()
    offset = integer(request, "offset", 0)
    return event_stream(request, events(execution.log, stream, offset, engine.devboxes.flow(devbox_id)))


async def events(log: OutputLog, stream: Stream, offset: int, flow: Flow) -> AsyncIterator[bytes]:
    """The events of a stream from `offset` on, until the execution has ended."""
    reader = Reader(log, stream, offset)
    try:
        while True:
            while batch := _batch(reader, await flow.turn()):
                flow.moved(len(batch))
                yield batch
            if log.finished:
                return
            await log.changed.wait()
    finally:
        reader.close()


def _batch(reader: Reader, max_bytes: int) -> bytes:
    """Events that are available now, about `max_bytes` of them."""
    size, found = 0, []
    while size < max_bytes and (frame := reader.read()) is not None:
        found.append(encoded(frame))
        size += len(found[-1])
    return b"".join(found)


def encoded(frame: Frame) -> bytes:
    """Encode a frame as one event."""
    begin, end = frame.span
    return b'data: {"output":%b,"offset":%d,"span":[%d,%d]}\n\n' % (encode(frame.text), frame.offset, begin, end)


_ONE = "/v1/devboxes/{devbox_id}/executions/{execution_id}"
ROUTES = [
    Route(f"{_ONE}/stream_stdout_updates", stdout_updates, methods=["GET"]),
    Route(f"{_ONE}/stream_stderr_updates", stderr_updates, methods=["GET"]),
]
