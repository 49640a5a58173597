"""The interface of HTTP backends: a request, its answer, and the errors in between."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, BinaryIO, NamedTuple, Protocol


class HTTPRequest(NamedTuple):
    """A request. `url` has no query, header names are lower case, and a body in pieces is read while it is sent."""

    method: str
    url: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes | AsyncIterator[bytes]
    connect_timeout: float
    timeout: float | None
    """Seconds between two pieces of the request or of the answer."""
    meanwhile: Callable[[], object] | None = None
    """Work for the time until the answer comes; a backend that does not know when it has sent may leave it out."""

    def __repr__(self) -> str:
        return f"<HTTPRequest {self.method} {self.url}>"  # not the headers, which have the key


class TransportError(Exception):
    """The exchange failed: the connection was cut, say, or the answer is malformed."""


class ProtocolError(TransportError):
    """The answer is not valid HTTP, or not compressed as its header says."""


class UnreachableError(TransportError):
    """No connection could be made."""


class TransportTimeoutError(TransportError):
    """Nothing was received, or nothing could be sent, for too long."""


class BodyTooLargeError(Exception):
    """A body has more bytes than the limit."""


class InvalidRequestError(Exception):
    """The request has characters that HTTP does not allow."""


class HTTPAnswer(ABC):
    """An answer whose body is still to be read; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]

    @abstractmethod
    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed."""

    def saved(self, file: BinaryIO) -> AsyncIterator[int]:
        """Write the body to a file as it arrives; yields the numbers of bytes. Raises `LocalFileError`, too."""
        from ._local_files import written

        return written(file, self.pieces())

    @abstractmethod
    async def aclose(self) -> None:
        """Release the connection; it is closed if the body was not read to its end."""

    async def read(self, max_bytes: int | None = None) -> bytes:
        """The whole body; raises `BodyTooLargeError` if it has more than `max_bytes` bytes."""
        whole = io.BytesIO()  # grows in place and gives its bytes away without a copy, so they are in memory once
        async for piece in self.pieces():
            if max_bytes is not None and whole.tell() + len(piece) > max_bytes:
                raise BodyTooLargeError(f"over {max_bytes:,} bytes")
            whole.write(piece)
        return whole.getvalue()


class HTTPBackend(Protocol):
    """Sends requests, over its own connections or by an HTTP client."""

    @property
    def is_closed(self) -> bool:
        """True once nothing can be sent any more."""

    async def send(self, request: HTTPRequest) -> HTTPAnswer:
        """The answer, once its head was received; raises `TransportError` or `InvalidRequestError`."""

    async def aclose(self) -> None:
        """Close every connection."""


async def decompressed(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """Decompress a body of the given content encoding; raises `TransportError` if it is malformed or ends early."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        async for piece in pieces:
            yield piece
        return
    import zlib  # few services compress

    decoder, came = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32), False  # 32: detect gzip or zlib by the header
    try:
        async for piece in pieces:
            came = True
            yield decoder.decompress(piece)
    except zlib.error as error:
        raise ProtocolError(f"the body is not compressed as it says: {error}") from error
    # Without a single byte there was no body to compress, whatever the header says.
    if came and not decoder.eof:
        raise TransportError("the compressed body ends early")
