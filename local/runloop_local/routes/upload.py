"""Parses a multipart upload as a stream: the file's bytes are passed on as they arrive."""

from __future__ import annotations

import tempfile
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol

import python_multipart as multipart
from python_multipart.exceptions import FormParserError

from ..engine.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from python_multipart.multipart import MultipartCallbacks
    from starlette.requests import Request

_MAX_PATH_BYTES = 16 * 1024
_SPOOL_BYTES = 1024 * 1024


class _Parts:
    """The parts parsed so far: the path, and pieces of the file that were not taken yet."""

    def __init__(self, content_type: str | None) -> None:
        kind, options = multipart.multipart.parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidError("An upload must be multipart/form-data with the parts path and file.")
        self.path: bytes | None = None
        self.file_seen = False
        self.pieces: deque[bytes] = deque()
        self._part = b""
        self._name, self._value = b"", b""
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
        }
        with _converting_errors():
            self._parser = multipart.MultipartParser(boundary, callbacks)

    def feed(self, chunk: bytes) -> None:
        with _converting_errors():
            self._parser.write(chunk)

    def _begin(self) -> None:
        self._part = self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._part = multipart.multipart.parse_options_header(self._value)[1].get(b"name", b"")
        self._name = self._value = b""

    def _headers_end(self) -> None:
        if self._part == b"path":
            self.path = b""
        self.file_seen = self.file_seen or self._part == b"file"

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part == b"file":
            self.pieces.append(data[start:end])
        elif self._part == b"path":
            self.path = (self.path or b"") + data[start:end]
            if len(self.path) > _MAX_PATH_BYTES:
                raise InvalidError("The part path is too long.")


@contextmanager
def _converting_errors() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise InvalidError(f"The upload is not valid multipart/form-data: {error}.") from error


class _Spool(Protocol):
    def write(self, data: bytes, /) -> int: ...


@asynccontextmanager
async def read_upload(request: Request) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """Read the target path and the file's bytes, which are spooled only if the path comes after them."""
    parts = _Parts(request.headers.get("content-type"))
    body = request.stream()
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        async for chunk in body:
            parts.feed(chunk)
            if parts.file_seen and parts.path is not None:
                break  # from here on the file can be streamed to its path
            _keep(parts, spool)
        if not parts.path or not parts.file_seen:
            raise InvalidError("An upload needs the parts path and file.")
        spool.seek(0)
        yield parts.path.decode("utf-8", "surrogateescape"), _file(spool, parts, body)


def _keep(parts: _Parts, spool: _Spool) -> None:
    while parts.pieces:
        spool.write(parts.pieces.popleft())


async def _file(
    spool: tempfile.SpooledTemporaryFile[bytes], parts: _Parts, body: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    while early := spool.read(_SPOOL_BYTES):
        yield early
    while parts.pieces:
        yield parts.pieces.popleft()
    async for chunk in body:
        parts.feed(chunk)
        while parts.pieces:
            yield parts.pieces.popleft()
