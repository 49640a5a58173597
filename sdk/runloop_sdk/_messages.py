"""One HTTP request, its answer, and what can go wrong between them: what every way to the API takes and gives."""

from __future__ import annotations

import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """`url` is without a query; the names of headers are in lower case; a body of pieces is read while it is sent."""

    method: str
    url: str
    query: Mapping[str, Any]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | AsyncIterator[bytes]
    connect_timeout: float
    timeout: float | None
    """Seconds between two pieces, of the request or of the answer."""


class TransportError(Exception):
    """The connection was cut, or what came over it is no HTTP."""


class NoHTTPError(TransportError):
    """What came is no HTTP, or not compressed as it says."""


class UnreachableError(TransportError):
    """There is no connection."""


class TooLateError(TransportError):
    """Nothing came, or nothing was taken, for too long."""


class OverlongError(Exception):
    """A body has more bytes than are to be read."""


class UnsendableError(Exception):
    """The request has characters that HTTP does not know."""


class HTTPAnswer(ABC):
    """An answer whose body is still to be read; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]

    @abstractmethod
    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, decompressed."""

    @abstractmethod
    async def aclose(self) -> None:
        """Free the connection; one whose body was not read to its end is closed."""

    async def read(self, most: int | None = None) -> bytes:
        """The whole body, in memory once: a `BytesIO` grows in place and gives its bytes away without a copy.

        Raises `OverlongError` where it has more than `most` bytes.
        """
        whole = io.BytesIO()
        async for piece in self.pieces():
            if most is not None and whole.tell() + len(piece) > most:
                raise OverlongError(f"over {most:,} bytes")
            whole.write(piece)
        return whole.getvalue()


class HTTPBackend(Protocol):
    """How requests reach the API."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""

    async def send(self, request: HTTPRequest) -> HTTPAnswer:
        """The answer, as soon as its head is there; raises `TransportError` or `UnsendableError`."""

    async def aclose(self) -> None:
        """Close every connection."""


async def decompressed(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The pieces of a body of this content encoding as they were before; raises `TransportError` for a broken one."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        async for piece in pieces:
            yield piece
        return
    decoder, came = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32), False  # 32: gzip or zlib, as the head says
    try:
        async for piece in pieces:
            came = True
            yield decoder.decompress(piece)
    except zlib.error as error:
        raise NoHTTPError(f"the body is not compressed as it says: {error}") from error
    if came and not decoder.eof:
        raise TransportError("the compressed body ends early")
