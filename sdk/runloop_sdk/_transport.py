"""Requests to the API: headers, time limits, retries, errors."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ._config import CONNECT_TIMEOUT, ClientConfig
from ._errors import APIConnectionError, APIStatusError, APITimeoutError, ConfigurationError, status_error
from ._http import DirectTransport
from ._messages import HTTPAnswer, HTTPRequest, TooLateError, TransportError, UnreachableError, UnsendableError, Way
from ._retry import LONGEST_TOLD_DELAY, backoff, is_retryable, seconds_of, told_delay

if TYPE_CHECKING:
    import httpx

R = TypeVar("R")

IDEMPOTENCY_HEADER = "x-request-id"
_DEFAULT_HEADERS = {"user-agent": "runloop-jupyter", "accept": "*/*", "accept-encoding": "gzip, deflate"}
_UNSENDABLE = "The API key, a header or the path has characters that cannot be sent over HTTP."


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


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    content: bytes

    @property
    def text(self) -> str:
        """The body, read as UTF-8."""
        return self.content.decode(errors="replace")


class Transport:
    """Sends requests over its own connections; made for the event loop that uses it first, closed with `aclose`."""

    def __init__(self, config: ClientConfig, http_client: httpx.AsyncClient | None = None) -> None:
        self.config = config
        self._way: Way = DirectTransport()
        self._is_direct = True
        if http_client is not None or _behind_proxy(config):
            self._use_httpx(http_client)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._dated = ("", 0.0)

    async def aclose(self) -> None:
        """Close the connections, unless they are a client that the caller brought."""
        self._closed = True
        await self._way.aclose()

    @property
    def clock_ahead(self) -> float:
        """Seconds that the service's clock is ahead of this machine's, to a second; 0 while nothing was answered."""
        date, received = self._dated
        sent = seconds_of(date)
        return 0.0 if sent is None else sent - received

    async def send(self, request: Request) -> Response:
        """The whole answer to `request`; raises `APIStatusError` or `APIConnectionError`."""
        return await self._with_retries(request, self._whole)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[HTTPAnswer]:
        """The answer to `request` with its body still to be read."""
        answer = await self._with_retries(request, self._begin)
        try:
            yield answer
        finally:
            await answer.aclose()

    async def body(self, answer: HTTPAnswer, request: Request) -> AsyncGenerator[bytes, None]:
        """The pieces of an answer's body as they come; a cut raises `APIConnectionError`."""
        try:
            async for piece in answer.pieces():
                yield piece
        except TransportError as error:
            raise self._connection_error(error, request) from error

    async def _with_retries(self, request: Request, ask: Callable[[Request, str], Awaitable[R]]) -> R:
        key = request.idempotency_key or str(uuid.uuid4())
        for attempt in count():
            try:
                return await ask(request, key)
            except (APIStatusError, APIConnectionError) as error:
                if attempt >= self.config.max_retries or not _may_retry(error, request):
                    raise
                await asyncio.sleep(_delay(error, attempt))
        raise AssertionError("unreachable")

    async def _whole(self, request: Request, key: str) -> Response:
        answer = await self._begin(request, key)
        try:
            return Response(answer.status, await answer.read())
        except TransportError as error:
            raise self._connection_error(error, request) from error
        finally:
            await answer.aclose()

    async def _begin(self, request: Request, key: str) -> HTTPAnswer:
        self._check_usable()
        try:
            answer = await self._way.send(self._built(request, key))
            if request.base_url is None:
                self._dated = (answer.headers.get("date", ""), time.time())
            if answer.status < 300:
                return answer
            try:
                body = await answer.read()
            finally:
                await answer.aclose()
        except UnsendableError as error:
            raise ConfigurationError(_UNSENDABLE) from error
        except TransportError as error:
            raise self._connection_error(error, request) from error
        raise self._refusal(answer, body, request)

    def _use_httpx(self, client: httpx.AsyncClient | None = None) -> None:
        from ._httpx import HttpxTransport

        self._way, self._is_direct = HttpxTransport(client), False

    def _built(self, request: Request, key: str) -> HTTPRequest:
        headers, body = self._headers_of(request, key), b""
        content = request.content() if callable(request.content) else request.content
        if request.json is not None:
            headers, body = {"content-type": "application/json", **headers}, _json(request)
        return HTTPRequest(
            request.method,
            (request.base_url or self.config.base_url) + request.path,
            query={**(self.config.query if request.base_url is None else {}), **request.query},
            headers=headers,
            body=body if content is None else content,
            connect_timeout=CONNECT_TIMEOUT,
            timeout=self.config.timeout if request.timeout is None else request.timeout,
        )

    def _headers_of(self, request: Request, key: str) -> dict[str, str]:
        """Each kind overrides those before it, whatever the case of their names. Another host gets only its own."""
        own = request.base_url is None
        token = request.bearer_token or (self.config.bearer_token if own else None)
        authorization = {"authorization": f"Bearer {token}"} if token else {}
        ours = {IDEMPOTENCY_HEADER: key, **_lower(self.config.headers)} if own else {}
        return {**_DEFAULT_HEADERS, **authorization, **ours, **_lower(request.headers)}

    def _check_usable(self) -> None:
        loop = asyncio.get_running_loop()
        if self._is_direct and _is_replaced():
            self._use_httpx()
        if self._closed or self._way.is_closed:
            raise ConfigurationError("This client is closed: make another one.")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError("This client belongs to another event loop: make one client per event loop.")

    def _refusal(self, answer: HTTPAnswer, body: bytes, request: Request) -> APIStatusError:
        if answer.status < 400:
            body = _redirection(self._host_of(request), answer.headers.get("location", ""))
        error = status_error(answer.status, answer.headers, body, method=request.method, path=request.path)
        error.told_delay = told_delay(answer.headers, longest=86_400)
        return error

    def _host_of(self, request: Request) -> str:
        return urlsplit(request.base_url or self.config.base_url).netloc

    def _connection_error(self, error: TransportError, request: Request) -> APIConnectionError:
        host, call = self._host_of(request), f"{request.method} {request.path}"
        if isinstance(error, TooLateError):
            return APITimeoutError(f"{host} did not answer {call} in time", method=request.method, path=request.path)
        if isinstance(error, UnreachableError):
            text = f"{host} cannot be reached ({str(error) or 'connection refused'})"
        else:
            text = f"The connection to {host} was cut during {call}"
        trusted = "CERTIFICATE_VERIFY_FAILED" not in text
        return APIConnectionError(text, method=request.method, path=request.path, retryable=trusted)


def _behind_proxy(config: ClientConfig) -> bool:
    if config.loopback:
        return False
    from urllib.request import getproxies

    return bool(getproxies().keys() & {"http", "https", "all"})


def _is_replaced() -> bool:
    """Whether something, in most cases a test, stands in for httpx's own transport (respx, pytest-httpx, vcrpy)."""
    owners = (("httpx", "AsyncHTTPTransport"), ("httpcore", "AsyncConnectionPool"))  # who replaces them imported them
    found = [getattr(sys.modules.get(module), owner, None) for module, owner in owners]
    return any(_is_foreign(owner) for owner in found if owner is not None)


def _is_foreign(owner: type) -> bool:
    method = vars(owner)["handle_async_request"]
    return hasattr(method, "__wrapped__") or _package(method) != _package(owner)


def _package(thing: object) -> str:
    return getattr(thing, "__module__", "").partition(".")[0]


def _json(request: Request) -> bytes:
    try:
        return json.dumps(request.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        reason = "it is no Unicode text" if isinstance(error, UnicodeEncodeError) else error
        raise ConfigurationError(f"A parameter of {request.method} {request.path} cannot be sent: {reason}") from None


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
    return backoff(attempt) if told is None or told > LONGEST_TOLD_DELAY else told
