"""Sends requests by httpx: for a client that the caller passes, and for proxies.

Imported only when needed: httpx takes longer to import than the rest of this SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

from ._errors import ConfigurationError
from ._messages import (
    HTTPAnswer,
    HTTPRequest,
    InvalidRequestError,
    TransportError,
    TransportTimeoutError,
    UnreachableError,
)

_POOL = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0)


class HttpxTransport:
    """Sends requests with an `httpx.AsyncClient`, its own if none is given."""

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        given: object = client
        if given is not None and not isinstance(given, httpx.AsyncClient):
            raise ConfigurationError(f"http_client takes an httpx.AsyncClient, not {type(given).__name__}.")
        self._owned = client is None
        self._client = client or httpx.AsyncClient(limits=_POOL)

    @property
    def is_closed(self) -> bool:
        """True once the httpx client is closed."""
        return self._client.is_closed

    async def send(self, request: HTTPRequest) -> HTTPAnswer:
        """The answer to `request`, its body still to be read."""
        try:
            built = self._build(request)
            return _Answer(await self._client.send(built, stream=True, follow_redirects=False))
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise InvalidRequestError(str(error)) from error
        except httpx.HTTPError as error:
            raise _failure(error) from error

    async def aclose(self) -> None:
        """Close the connections, unless the caller passed the httpx client."""
        if self._owned:
            await self._client.aclose()

    def _build(self, request: HTTPRequest) -> httpx.Request:
        seconds = request.timeout
        limits = {"connect": request.connect_timeout, "read": seconds, "write": seconds, "pool": seconds}
        return self._client.build_request(
            request.method,
            request.url,
            params=dict(request.query) or None,
            content=request.body or None,
            headers=request.headers,
            extensions={"timeout": limits},
        )


class _Answer(HTTPAnswer):
    """An answer from httpx."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = dict(response.headers)
        self._response = response

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                yield piece
        except httpx.HTTPError as error:
            raise _failure(error) from error

    async def aclose(self) -> None:
        await self._response.aclose()


def _failure(error: httpx.HTTPError) -> TransportError:
    if isinstance(error, httpx.TimeoutException):
        return TransportTimeoutError(str(error))
    kind = UnreachableError if isinstance(error, httpx.ConnectError) else TransportError
    return kind(str(error))
