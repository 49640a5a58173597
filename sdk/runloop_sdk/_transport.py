"""Requests to the API: headers, time limits, retries, errors."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

from ._config import CONNECT_TIMEOUT, ClientConfig
from ._errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    RunloopError,
    status_error,
)
from ._http import DirectTransport
from ._messages import (
    HTTPAnswer,
    HTTPBackend,
    HTTPRequest,
    NoHTTPError,
    OverlongError,
    TooLateError,
    TransportError,
    UnreachableError,
    UnsendableError,
)
from ._retry import LONGEST_RETRY_AFTER, backoff, is_retryable, retry_after, seconds_of

if TYPE_CHECKING:
    import httpx

R = TypeVar("R")


class Dependent(Protocol):
    """What has a connection of its own to the API."""

    async def detach(self) -> None:
        """Close it."""


IDEMPOTENCY_HEADER = "x-request-id"
MOST_BYTES = 256 << 20
"""More has no answer of the API, whose longest is the text of a file."""
_MOST_OF_A_REFUSAL = 1 << 20
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
    surface: tuple[type[RunloopError], ...] = ()
    """Errors that the caller deals with: raised at once instead of retried."""
    base_url: str | None = None
    """Another host than the API's; the API key is never sent there."""
    bearer_token: str | None = field(default=None, repr=False)
    """To be sent instead of the API key."""
    most: int | None = MOST_BYTES
    """Bytes of an answer that is read whole; None for as many as there are."""

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
        self._way = _way(config, http_client)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        self._dependents: WeakSet[Dependent] = WeakSet()
        self._dated = ("", 0.0)

    async def aclose(self) -> None:
        """Close the connections, unless they are a client that the caller brought; calls that wait raise at once."""
        self._closing.set()
        await asyncio.gather(*(dependent.detach() for dependent in tuple(self._dependents)))
        await self._way.aclose()

    async def adopt(self, dependent: Dependent) -> None:
        """Detach `dependent`, which has a connection of its own, when this is closed; now, if it is."""
        self._dependents.add(dependent)
        if self._closing.is_set():
            await dependent.detach()

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
                await self._pause(_delay(error, attempt), request)
        raise AssertionError("unreachable")

    async def _pause(self, seconds: float, request: Request) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
        raise self._closed_error(request)

    async def _whole(self, request: Request, key: str) -> Response:
        answer = await self._begin(request, key)
        try:
            return Response(answer.status, await answer.read(request.most))
        except OverlongError as error:
            sentence = f"The answer to {request.method} {request.path} is {error}, more than an answer may have."
            raise APIResponseError(sentence, method=request.method, path=request.path) from error
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
                body = await answer.read(_MOST_OF_A_REFUSAL)
            except OverlongError:
                body = b""  # the status alone has to do
            finally:
                await answer.aclose()
        except UnsendableError as error:
            raise ConfigurationError(_UNSENDABLE) from error
        except TransportError as error:
            raise self._connection_error(error, request) from error
        raise self._refusal(answer, body, request)

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
        ours = _lower(self.config.headers) if own else {}
        # After those: a header that is the same for all requests cannot tell a retry from a new request.
        mark = {IDEMPOTENCY_HEADER: key} if own or request.bearer_token else {}
        return {**_DEFAULT_HEADERS, **authorization, **ours, **mark, **_lower(request.headers)}

    def _check_usable(self) -> None:
        loop = asyncio.get_running_loop()
        if self._closing.is_set() or self._way.is_closed:
            raise ConfigurationError("This client is closed: make another one.")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError("This client belongs to another event loop: make one client per event loop.")

    def _refusal(self, answer: HTTPAnswer, body: bytes, request: Request) -> APIStatusError:
        if answer.status < 400:
            body = _redirection(self._host_of(request), answer.headers.get("location", ""))
        error = status_error(answer.status, answer.headers, body, method=request.method, path=request.path)
        error.retry_after = retry_after(answer.headers, longest=86_400)
        return error

    def _host_of(self, request: Request) -> str:
        return urlsplit(request.base_url or self.config.base_url).netloc

    def _connection_error(self, error: TransportError, request: Request) -> APIConnectionError:
        host, call = self._host_of(request), f"{request.method} {request.path}"
        if self._closing.is_set():
            return self._closed_error(request)
        if isinstance(error, TooLateError):
            return APITimeoutError(f"{host} did not answer {call} in time", method=request.method, path=request.path)
        if isinstance(error, UnreachableError):
            text = f"{host} cannot be reached" + (f" ({error})" if str(error) else "")
        elif isinstance(error, NoHTTPError):
            text = f"{host} answered {call} with what is no HTTP ({error})"
        else:
            text = f"The connection to {host} was cut during {call}"
        trusted = "CERTIFICATE_VERIFY_FAILED" not in text
        return APIConnectionError(text, method=request.method, path=request.path, retryable=trusted)

    def _closed_error(self, request: Request) -> APIConnectionError:
        text = f"This client was closed before {self._host_of(request)} had answered {request.method} {request.path}"
        if request.method != "GET" and not request.path.endswith("/wait_for_status"):
            text += "; what was asked for may have been done"
        return APIConnectionError(text, method=request.method, path=request.path, retryable=False)


def _way(config: ClientConfig, http_client: httpx.AsyncClient | None) -> HTTPBackend:
    """Own connections, but for a client that the caller brings, and for proxies, which httpx knows how to use."""
    if http_client is None and not _behind_proxy(config):
        return DirectTransport()
    from ._httpx import HttpxTransport

    return HttpxTransport(http_client)


def _behind_proxy(config: ClientConfig) -> bool:
    if config.loopback:
        return False
    from urllib.request import getproxies

    return bool(getproxies().keys() & {"http", "https", "all"})


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
    return request.replayable and is_retryable(error) and not isinstance(error, request.surface)


def _delay(error: APIStatusError | APIConnectionError, attempt: int) -> float:
    told = error.retry_after if isinstance(error, APIStatusError) else None
    return backoff(attempt) if told is None or told > LONGEST_RETRY_AFTER else told
