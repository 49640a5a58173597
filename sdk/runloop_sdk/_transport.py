"""Requests to the API: headers, time limits, retries, errors. The one place that knows httpx."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from ._config import CONNECT_TIMEOUT, ClientConfig
from ._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    status_error,
)
from ._http import DirectTransport, is_replaced
from ._retry import backoff, is_retryable, told_delay

IDEMPOTENCY_HEADER = "x-request-id"
_DEFAULT_HEADERS = {"user-agent": "runloop-jupyter", "accept": "*/*", "accept-encoding": "gzip, deflate"}
_UNSENDABLE = "The API key, a header or the path has characters that cannot be sent over HTTP."
_POOL = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0)


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API. `timeout` (seconds between two pieces of the answer) None: the client's own."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | AsyncIterator[bytes] | Callable[[], AsyncIterator[bytes]] | None = None
    """A body that is no JSON; a function is asked for it anew on each try."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float | None = None
    idempotency_key: str | None = None
    surface: Sequence[int] = ()
    """Statuses that the caller deals with: raised at once instead of retried."""
    base_url: str | None = None
    """Another host than the API's; the API key is never sent there."""
    bearer_token: str | None = field(default=None, repr=False)
    """To be sent instead of the API key."""

    @property
    def replayable(self) -> bool:
        """Whether it can be sent twice: a body that is read while it is sent cannot."""
        return not isinstance(self.content, AsyncIterator)


class Transport:
    """Sends requests with one connection pool; made for the event loop that uses it first, closed with `aclose`."""

    def __init__(self, config: ClientConfig, http_client: httpx.AsyncClient | None = None) -> None:
        if http_client is not None and not isinstance(http_client, httpx.AsyncClient):
            raise ConfigurationError(f"http_client takes an httpx.AsyncClient, not {type(http_client).__name__}.")
        self.config = config
        self._owned = http_client is None
        self._direct = DirectTransport()
        self._client = http_client or (httpx.AsyncClient(limits=_POOL) if _behind_proxy(config) else None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def aclose(self) -> None:
        """Close the connections, unless they are a client that the caller brought."""
        self._closed = True
        await self._direct.aclose()
        if self._owned and self._client is not None:
            await self._client.aclose()

    async def send(self, request: Request) -> httpx.Response:
        """The whole answer to `request`; raises `APIStatusError` or `APIConnectionError`."""
        return await self._with_retries(request, self._whole)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[httpx.Response]:
        """The answer to `request` with its body still to be read."""
        response = await self._with_retries(request, self._begin)
        try:
            yield response
        finally:
            await response.aclose()

    async def body(self, response: httpx.Response, request: Request) -> AsyncGenerator[bytes, None]:
        """The pieces of an answer's body as they come; a cut raises `APIConnectionError`."""
        try:
            async for piece in response.aiter_bytes():
                yield piece
        except httpx.HTTPError as error:
            raise self._connection_error(error, request) from error

    async def _with_retries(
        self, request: Request, ask: Callable[[Request, str], Awaitable[httpx.Response]]
    ) -> httpx.Response:
        key = request.idempotency_key or str(uuid.uuid4())
        for attempt in count():
            try:
                return await ask(request, key)
            except (APIStatusError, APIConnectionError) as error:
                if attempt >= self.config.max_retries or not _may_retry(error, request):
                    raise
                await asyncio.sleep(_delay(error, attempt))
        raise AssertionError("unreachable")

    async def _whole(self, request: Request, key: str) -> httpx.Response:
        response = await self._begin(request, key)
        try:
            await response.aread()
        except httpx.HTTPError as error:
            raise self._connection_error(error, request) from error
        finally:
            await response.aclose()
        return response

    async def _begin(self, request: Request, key: str) -> httpx.Response:
        self._check_usable()
        try:
            response = await self._send(self._build(request, key))
            if response.status_code < 300:
                return response
            try:
                body = await response.aread()
            finally:
                await response.aclose()
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            raise ConfigurationError(_UNSENDABLE) from error
        except httpx.HTTPError as error:
            raise self._connection_error(error, request) from error
        raise self._refusal(response, body, request)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        if self._client is None and is_replaced():
            self._client = httpx.AsyncClient(limits=_POOL)
        if self._client is None:
            return await self._direct.handle_async_request(request)
        return await self._client.send(request, stream=True, follow_redirects=False)

    def _build(self, request: Request, key: str) -> httpx.Request:
        make = httpx.Request if self._client is None else self._client.build_request
        seconds = self.config.timeout if request.timeout is None else request.timeout
        limits = {"connect": CONNECT_TIMEOUT, "read": seconds, "write": seconds, "pool": seconds}
        try:
            return make(
                request.method,
                (request.base_url or self.config.base_url) + request.path,
                params={**(self.config.query if request.base_url is None else {}), **request.query} or None,
                json=request.json,
                content=request.content() if callable(request.content) else request.content,
                headers=self._headers_of(request, key),
                extensions={"timeout": limits},
            )
        except (UnicodeEncodeError, httpx.InvalidURL) as error:
            raise ConfigurationError(_UNSENDABLE) from error
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"A parameter of {request.method} {request.path} cannot be sent: {error}"
            ) from None

    def _headers_of(self, request: Request, key: str) -> dict[str, str]:
        """Each kind overrides those before it, whatever the case of their names. Another host gets only its own."""
        own = request.base_url is None
        token = request.bearer_token or (self.config.bearer_token if own else None)
        authorization = {"authorization": f"Bearer {token}"} if token else {}
        ours = {IDEMPOTENCY_HEADER: key, **_lower(self.config.headers)} if own else {}
        return {**_DEFAULT_HEADERS, **authorization, **ours, **_lower(request.headers)}

    def _check_usable(self) -> None:
        loop = asyncio.get_running_loop()
        if self._closed or (self._client is not None and self._client.is_closed):
            raise ConfigurationError("This client is closed: make another one.")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError("This client belongs to another event loop: make one client per event loop.")

    def _refusal(self, response: httpx.Response, body: bytes, request: Request) -> APIStatusError:
        if response.status_code < 400:
            body = _redirection(self._host_of(request), response.headers.get("location", ""))
        error = status_error(response.status_code, response.headers, body, method=request.method, path=request.path)
        error.told_delay = told_delay(response.headers)
        return error

    def _host_of(self, request: Request) -> str:
        return urlsplit(request.base_url or self.config.base_url).netloc

    def _connection_error(self, error: httpx.HTTPError, request: Request) -> APIConnectionError:
        host, call = self._host_of(request), f"{request.method} {request.path}"
        if isinstance(error, httpx.TimeoutException):
            return APITimeoutError(f"{host} did not answer {call} in time", method=request.method, path=request.path)
        if isinstance(error, httpx.ConnectError):
            text = f"{host} cannot be reached ({str(error) or 'connection refused'})"
        else:
            text = f"The connection to {host} was cut during {call}"
        trusted = "CERTIFICATE_VERIFY_FAILED" not in text
        return APIConnectionError(text, method=request.method, path=request.path, retryable=trusted)


def _behind_proxy(config: ClientConfig) -> bool:
    return not config.loopback and bool(getproxies().keys() & {"http", "https", "all"})


def _redirection(host: str, location: str) -> bytes:
    """What the answer means: following it could carry the API key to another host."""
    target = urlsplit(location)
    elsewhere = f"{target.scheme}://{target.netloc}" if target.netloc else "another path"
    return f"{host} redirects to {elsewhere}, which is not followed: check the base URL (RUNLOOP_BASE_URL)".encode()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _may_retry(error: APIStatusError | APIConnectionError, request: Request) -> bool:
    if isinstance(error, APIStatusError) and error.status_code in request.surface:
        return False
    return request.replayable and is_retryable(error)


def _delay(error: APIStatusError | APIConnectionError, attempt: int) -> float:
    told = error.told_delay if isinstance(error, APIStatusError) else None
    return backoff(attempt) if told is None else told
