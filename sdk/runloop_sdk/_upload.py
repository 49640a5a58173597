"""Request bodies that are read while they are sent, in constant memory."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ._errors import ConfigurationError, LocalFileError
from ._local_files import local_file, open_local

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A body. `content` is a function if it can be read again for a retry; `size` is None if unknown."""

    content: AsyncIterator[bytes] | Callable[[], AsyncIterator[bytes]]
    size: int | None
    name: str = "file"

    @property
    def headers(self) -> dict[str, str]:
        """The `content-length` header; empty if the size is unknown, then the body is sent in chunks."""
        return {} if self.size is None else {"content-length": str(self.size)}


UploadSource = bytes | os.PathLike[str] | BinaryIO | AsyncIterable[bytes] | Upload
"""Bytes, the path of a file, a file opened in binary mode, or an async iterable of bytes."""


async def open_upload(source: UploadSource) -> Upload:
    """The body for a source, not read yet; raises `LocalFileError` for a path that cannot be read."""
    if isinstance(source, Upload):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return Upload(lambda: _whole(bytes(source)), len(source))
    if isinstance(source, os.PathLike):
        path = Path(source)
        with local_file():
            size = await asyncio.to_thread(_size_of_file, path)
        return Upload(lambda: _from_path(path, size), size, path.name)
    # Before `AsyncIterable`, which every iterator is too: an iterator can be read once, so it cannot be retried.
    if isinstance(source, AsyncIterator):
        return Upload(source, None)
    if isinstance(source, AsyncIterable):
        return Upload(source.__aiter__, None)
    if hasattr(source, "read"):
        return await asyncio.to_thread(_of_file, source)
    raise ConfigurationError(
        f"Cannot upload a {type(source).__name__}: pass bytes, a pathlib.Path, a file opened with 'rb', "
        "or an async iterator of bytes."
    )


def with_progress(upload: Upload, progress: Callable[[int], None]) -> Upload:
    """The same upload; `progress` gets the number of bytes sent so far, counted from 0 again on a retry."""
    content = upload.content
    if callable(content):
        again = content
        return replace(upload, content=lambda: _counted(again(), progress))
    return replace(upload, content=_counted(content, progress))


async def _counted(content: AsyncIterator[bytes], progress: Callable[[int], None]) -> AsyncIterator[bytes]:
    taken = 0
    async for piece in content:
        yield piece
        taken += len(piece)
        progress(taken)


def multipart(upload: Upload, field: str, form: Mapping[str, str]) -> tuple[Upload, str]:
    """A multipart/form-data body of `form` and the upload as `field`, and its content type."""
    boundary = secrets.token_hex(16)
    head = "".join(_part(boundary, f'name="{_quoted(name)}"') + f"{value}\r\n" for name, value in form.items())
    head += _part(
        boundary, f'name="{field}"; filename="{_quoted(upload.name)}"', "Content-Type: application/octet-stream\r\n"
    )
    before, after = head.encode(), f"\r\n--{boundary}--\r\n".encode()
    size = None if upload.size is None else len(before) + upload.size + len(after)
    content = upload.content
    if callable(content):
        again = content
        return Upload(lambda: _framed(before, again(), after), size), f"multipart/form-data; boundary={boundary}"
    return Upload(_framed(before, content, after), size), f"multipart/form-data; boundary={boundary}"


def _part(boundary: str, disposition: str, headers: str = "") -> str:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{headers}\r\n"


def _quoted(text: str) -> str:
    # As browsers do it: a file's name can neither end its header nor begin another.
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


async def _framed(before: bytes, content: AsyncIterator[bytes], after: bytes) -> AsyncIterator[bytes]:
    yield before
    async for piece in content:
        yield piece
    yield after


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def _of_file(file: BinaryIO) -> Upload:
    name = Path(str(getattr(file, "name", "file"))).name
    if not file.seekable():
        return Upload(_pieces(file, None), None, name)
    # From where it stands, as its head may have been read already; a retry goes back to there.
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    return Upload(lambda: _from_start(file, start, size), size, name)


def _size_of_file(path: Path) -> int:
    if path.is_dir():
        raise LocalFileError(errno.EISDIR, "a folder: upload_dir and upload_from_dir take folders", str(path))
    return path.stat().st_size


async def _from_path(path: Path, size: int) -> AsyncIterator[bytes]:
    with await open_local(path, "rb") as file:
        async for piece in _pieces(file, size):
            yield piece


async def _from_start(file: BinaryIO, start: int, size: int) -> AsyncIterator[bytes]:
    await asyncio.to_thread(file.seek, start)
    async for piece in _pieces(file, size):
        yield piece


async def _pieces(file: BinaryIO, size: int | None) -> AsyncIterator[bytes]:
    """The rest of `file`, but exactly `size` bytes, if given: its length was announced in a header.

    Raises `LocalFileError` if the file has become shorter meanwhile.
    """
    left = PIECE if size is None else size
    while left and (piece := await asyncio.to_thread(file.read, min(PIECE, left))):
        yield piece
        left -= 0 if size is None else len(piece)
    if left and size is not None:
        name = str(getattr(file, "name", "the file"))
        raise LocalFileError(errno.EIO, "it became shorter while it was read", name)
