"""Routes to read, write, upload and download files of a devbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.routing import Route

from ..engine.devbox.files import whole
from .body import Body, read_body
from .upload import read_upload
from .wire import MAX_WRITE_BYTES, engine_of, json_response, path_id

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.devbox.files import Files

T = TypeVar("T")


class Write(Body, frozen=True):
    """POST .../write_file_contents."""

    file_path: str
    contents: str


MAX_READ_BYTES = 100 * 1024 * 1024


class Read(Body, frozen=True):
    """POST .../read_file_contents."""

    file_path: str


class Download(Body, frozen=True):
    """POST .../download_file."""

    path: str


async def write_contents(request: Request) -> Response:
    """POST /v1/devboxes/{id}/write_file_contents."""
    body = await read_body(request, Write, MAX_WRITE_BYTES)
    await (await _files(request)).write(body.file_path, whole(body.contents.encode()))
    return json_response({"devbox_id": path_id(request), "exit_status": 0, "stdout": "", "stderr": ""})


async def read_contents(request: Request) -> Response:
    """POST /v1/devboxes/{id}/read_file_contents: up to 100 MB."""
    body = await read_body(request, Read)
    source = await _cancel_on_disconnect(request, (await _files(request)).read(body.file_path, MAX_READ_BYTES))
    return StreamingResponse(source, media_type="text/plain")


async def upload(request: Request) -> Response:
    """POST /v1/devboxes/{id}/upload_file."""
    files = await _files(request)
    async with read_upload(request) as (path, source):
        await files.write(path, source)
    return json_response({})


async def download(request: Request) -> Response:
    """POST /v1/devboxes/{id}/download_file."""
    body = await read_body(request, Download)
    source = await _cancel_on_disconnect(request, (await _files(request)).read(body.path))
    return StreamingResponse(source, media_type="application/octet-stream")


async def _cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, cancelling it if the client disconnects first."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _wait_for_disconnect(request: Request) -> None:
    """Wait until the client has disconnected; its request must have been read completely."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _files(request: Request) -> Files:
    return (await engine_of(request).devboxes.get(path_id(request))).processes.files()


ROUTES = [
    Route("/v1/devboxes/{id}/write_file_contents", write_contents, methods=["POST"]),
    Route("/v1/devboxes/{id}/read_file_contents", read_contents, methods=["POST"]),
    Route("/v1/devboxes/{id}/upload_file", upload, methods=["POST"]),
    Route("/v1/devboxes/{id}/download_file", download, methods=["POST"]),
]
