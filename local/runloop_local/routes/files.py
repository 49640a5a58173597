"""Files of a devbox, in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse
from starlette.routing import Route

from ..engine.files import whole
from .upload import read_upload
from .wire import MAX_WRITE_BYTES, Body, answer, engine_of, path_id, read_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.files import Files


class Write(Body):
    """POST .../write_file_contents."""

    file_path: str
    contents: str


MAX_READ_BYTES = 100 * 1024 * 1024


class Read(Body):
    """POST .../read_file_contents."""

    file_path: str


class Download(Body):
    """POST .../download_file."""

    path: str


async def write_contents(request: Request) -> Response:
    """POST /v1/devboxes/{id}/write_file_contents."""
    body = await read_body(request, Write, MAX_WRITE_BYTES)
    await (await _files(request)).write(body.file_path, whole(body.contents.encode()))
    return answer({"devbox_id": path_id(request), "exit_status": 0, "stdout": "", "stderr": ""})


async def read_contents(request: Request) -> Response:
    """POST /v1/devboxes/{id}/read_file_contents: up to 100 MB."""
    body = await read_body(request, Read)
    source = await (await _files(request)).read(body.file_path, MAX_READ_BYTES)
    return StreamingResponse(source, media_type="text/plain")


async def upload(request: Request) -> Response:
    """POST /v1/devboxes/{id}/upload_file."""
    files = await _files(request)
    async with read_upload(request) as (path, source):
        await files.write(path, source)
    return answer({})


async def download(request: Request) -> Response:
    """POST /v1/devboxes/{id}/download_file."""
    body = await read_body(request, Download)
    source = await (await _files(request)).read(body.path)
    return StreamingResponse(source, media_type="application/octet-stream")


async def _files(request: Request) -> Files:
    return (await engine_of(request).devboxes.get(path_id(request))).files()


ROUTES = [
    Route("/v1/devboxes/{id}/write_file_contents", write_contents, methods=["POST"]),
    Route("/v1/devboxes/{id}/read_file_contents", read_contents, methods=["POST"]),
    Route("/v1/devboxes/{id}/upload_file", upload, methods=["POST"]),
    Route("/v1/devboxes/{id}/download_file", download, methods=["POST"]),
]
