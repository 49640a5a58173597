"""Uploads and downloads of storage objects by signed URLs, which need no API key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ..direct import direct_transfer
from .objects import STORAGE
from .wire import engine_of, parse_integer, path_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ..engine.storage.object_files import Source
    from ..engine.storage.objects import Content, ContentType
    from ..engine.storage.signatures import Method

DIRECT_BYTES = 1 << 20
"""Bodies of this size and more bypass the HTTP server's buffers."""
_MEDIA: dict[ContentType, str] = {
    "text": "text/plain; charset=utf-8",
    "gzip": "application/gzip",
    "tgz": "application/gzip",
    "tar": "application/x-tar",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


async def put(request: Request) -> Response:
    """PUT: receive the bytes of an object that is UPLOADING."""
    object_id = _checked(request, "PUT")
    announced = parse_integer(request.headers.get("content-length", ""))
    try:
        record = await engine_of(request).objects.receive(object_id, _source(request, announced), announced)
    except (ClientDisconnect, ConnectionError):
        return Response(status_code=400)  # nobody is left to read it
    return Response(headers={"etag": f'"{record.id}-{record.size_bytes}"'})


def _source(request: Request, announced: int | None) -> Source:
    direct = direct_transfer(request.scope)
    if direct is None or announced is None or announced < DIRECT_BYTES:
        return engine_of(request).objects.files.stream(request.stream())
    return lambda file: direct.receive(file, announced)


async def get(request: Request) -> Response:
    """GET and HEAD: the bytes of a complete object, or a range of them."""
    objects = engine_of(request).objects
    content = await objects.content(_checked(request, "GET"))
    headers = _headers(content)
    wanted = _range(request, content, headers["etag"])
    if wanted is None:
        status, start, end = 200, 0, content.size
    else:
        status, (start, end) = 206, wanted
        headers["content-range"] = f"bytes {start}-{end - 1}/{content.size}"
        if start >= end:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{content.size}"})
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    direct = direct_transfer(request.scope)
    if direct is None or end - start < DIRECT_BYTES:
        return StreamingResponse(objects.files.read(content.path, start, end), status, headers)
    return _DirectResponse(status, headers, lambda: direct.send(content.path, start, end))


class _DirectResponse(Response):
    """A response whose body is sent from the file to the socket directly."""

    def __init__(self, status: int, headers: Mapping[str, str], send_body: Callable[[], Awaitable[None]]) -> None:
        super().__init__(status_code=status, headers=headers)
        self._send_body = send_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await self._send_body()
        except ConnectionError:
            return  # the client has gone
        await send({"type": "http.response.body", "body": b""})


def _checked(request: Request, method: Method) -> str:
    query, object_id = request.query_params, path_id(request)
    signed = (query.get("expires", ""), query.get("signature", ""))
    engine_of(request).objects.check_signature(method, object_id, *signed)
    return object_id


def _headers(content: Content) -> dict[str, str]:
    # An object may be a page with scripts, which no browser may run with this service's origin.
    record = content.record
    return {
        "content-type": _MEDIA.get(record.content_type, "application/octet-stream"),
        "content-disposition": f"attachment; filename*=utf-8''{quote(record.name, safe='')}",
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
        "etag": f'"{record.id}-{content.size}"',
    }


def _range(request: Request, content: Content, etag: str) -> tuple[int, int] | None:
    """Parse the Range header: start and end, exclusive. None for the whole object, also if the range is invalid."""
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    # If-Range with another etag: the client's part belongs to other bytes, so it gets all of the object.
    if match is None or not any(match.groups()) or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        return max(0, content.size - int(last)), content.size
    end = min(content.size, int(last) + 1) if last else content.size
    return None if last and int(last) < int(first) else (int(first), end)


ROUTES = [
    Route(f"{STORAGE}/{{id}}", put, methods=["PUT"]),
    Route(f"{STORAGE}/{{id}}", get, methods=["GET"]),  # Starlette adds HEAD
]
