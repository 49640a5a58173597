"""Sends requests to the API: headers, timeouts, retries and errors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

from ._config import CONNECT_TIMEOUT, NOTHING, ClientConfig
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
from ._ids import uuid4
from ._messages import (
    BodyTooLargeError,
    HTTPAnswer,
    HTTPBackend,
    HTTPRequest,
    InvalidRequestError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
    UnreachableError,
)
from ._retry import LONGEST_RETRY_AFTER, backoff, is_retryable, parse_http_date, retry_after
from ._turns import Turns

if TYPE_CHECKING:
    import httpx

R = TypeVar("R")


class Dependent(Protocol):
    """Something with a connection of its own to the API."""

    async def detach(self) -> None:
        """Close it."""


IDEMPOTENCY_HEADER = "x-request-id"
RESPONSE_BYTES = 256 << 20
"""The default limit of an answer; the longest of the API is the text of a file."""
_ERROR_BODY_BYTES = 1 << 20
_DEFAULT_HEADERS = {"user-agent": "runloop-jupyter", "accept": "*/*", "accept-encoding": "gzip, deflate"}
_UNSENDABLE = "The API key, a header or the path has characters that cannot be sent over HTTP."


class Request(NamedTuple):
    """One call of the API. `timeout` is in seconds between two pieces of the answer; None is the client's own."""

    method: str
    path: str
    query: Mapping[str, Any] = NOTHING
    json: Any = None
    content: bytes | AsyncIterator[bytes] | Callable[[], AsyncIterator[bytes]] | None = None
    """A body that is not JSON; a function is called for each attempt."""
    headers: Mapping[str, str] = NOTHING
    timeout: float | None = None
    idempotency_key: str | None = None
    surface: tuple[type[RunloopError], ...] = ()
    """Errors that the caller handles: raised at once instead of retried."""
    base_url: str | None = None
    """Another host than that of the API; the API key is never sent there."""
    bearer_token: str | None = None
    """A token to send instead of the API key."""
    max_bytes: int | None = RESPONSE_BYTES
    """The most bytes of an answer that is read whole; None for no limit."""
    meanwhile: Callable[[], object] | None = None
    """Called once it has been sent: work that is done while the service works, too."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"  # not the token and the headers, nor a body with secrets

    @property
    def replayable(self) -> bool:
        """True if it can be sent again; an iterator as its body can be read only once."""
        return not isinstance(self.content, AsyncIterator)


class Response(NamedTuple):
    """An answer with its whole body."""

    status: int
    content: bytes

    @property
    def text(self) -> str:
        """The body decoded as UTF-8."""
        return self.content.decode(errors="replace")


class Transport:
    """Sends requests with retries. Belongs to the event loop that uses it first; closed with `aclose`."""

    def __init__(self, config: ClientConfig, http_client: httpx.AsyncClient | None = None) -> None:
        self.config = config
        self.turns = Turns()
        """In which requests are made and what was received is parsed, where many share the loop."""
        self._backend = _backend(config, http_client)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        # Weak: a terminal that nobody holds any more needs no detaching.
        self._dependents: WeakSet[Dependent] = WeakSet()
        # As it came, parsed only when somebody asks: hardly anybody does.
        self._last_date = ("", 0.0)

    async def aclose(self) -> None:
        """Close the connections, unless the caller passed the HTTP client; pending calls raise at once."""
        # First: whoever waits for a retry must give up, not open a connection behind this.
        self._closing.set()
        await asyncio.gather(*(dependent.detach() for dependent in tuple(self._dependents)))
        await self._backend.aclose()

    async def adopt(self, dependent: Dependent) -> None:
        """Detach `dependent` when this is closed, or at once if it is closed already."""
        self._dependents.add(dependent)
        if self._closing.is_set():
            await dependent.detach()

    @property
    def clock_ahead(self) -> float:
        """Seconds by which the service's clock is ahead of this machine's, to a second; 0 before the first answer."""
        date, received = self._last_date
        sent = parse_http_date(date)
        return 0.0 if sent is None else sent - received

    async def send(self, request: Request) -> Response:
        """The whole answer to `request`; raises `APIStatusError` or `APIConnectionError`."""
        return await self._with_retries(request, self._send_whole)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[HTTPAnswer]:
        """The answer to `request`, its body still to be read. Retries end once its head was received."""
        answer = await self._with_retries(request, self._send_once)
        try:
            # However the body's reader ends, the connection is either whole again or closed: never left half read.
            yield answer
        finally:
            await answer.aclose()

    async def body(self, answer: HTTPAnswer, request: Request) -> AsyncGenerator[bytes, None]:
        """The pieces of an answer's body as they arrive; raises `APIConnectionError` if the connection is cut."""
        try:
            async for piece in answer.pieces():
                yield piece
        except TransportError as error:
            raise self._connection_error(error, request) from error

    async def saved(self, answer: HTTPAnswer, request: Request, file: BinaryIO) -> AsyncGenerator[int, None]:
        """Write an answer's body to a file as it arrives; yields the numbers of bytes. Raises as `body` does."""
        try:
            async for size in answer.saved(file):
                yield size
        except TransportError as error:
            raise self._connection_error(error, request) from error

    async def _with_retries(self, request: Request, ask: Callable[[Request, str], Awaitable[R]]) -> R:
        # The same on every attempt: a service that has carried out one whose answer was lost does not do it again.
        key = request.idempotency_key or uuid4()
        for attempt in count():
            try:
                return await ask(request, key)
            except (APIStatusError, APIConnectionError) as error:
                if attempt >= self.config.max_retries or not _may_retry(error, request):
                    raise
                await self._pause(_delay(error, attempt), request)
        raise AssertionError("unreachable")

    async def _pause(self, seconds: float, request: Request) -> None:
        """Sleep, but raise at once if the client is closed meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
        raise self._closed_error(request)

    async def _send_whole(self, request: Request, key: str) -> Response:
        answer = await self._send_once(request, key)
        try:
            content = await answer.read(request.max_bytes)
            await self.turns.next()
            return Response(answer.status, content)
        except BodyTooLargeError as error:
            sentence = f"The answer to {request.method} {request.path} is {error}, more than an answer may have."
            raise APIResponseError(sentence, method=request.method, path=request.path) from error
        except TransportError as error:
            raise self._connection_error(error, request) from error
        finally:
            await answer.aclose()

    async def _send_once(self, request: Request, key: str) -> HTTPAnswer:
        await self.turns.next()
        # On each attempt: the client may have been closed during the pause before it.
        self._check_usable()
        try:
            answer = await self._backend.send(self._built(request, key))
            if request.base_url is None:  # other hosts have other clocks
                self._last_date = (answer.headers.get("date", ""), time.time())
            if answer.status < 300:
                return answer
            try:
                body = await answer.read(_ERROR_BODY_BYTES)
            except BodyTooLargeError:
                body = b""  # only the status is reported
            finally:
                await answer.aclose()
        except InvalidRequestError as error:
            raise ConfigurationError(_UNSENDABLE) from error
        except TransportError as error:
            raise self._connection_error(error, request) from error
        raise self._status_error(answer, body, request)

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
            meanwhile=request.meanwhile,
        )

    def _headers_of(self, request: Request, key: str) -> dict[str, str]:
        """The headers of a request: defaults, the client's, its own. Another host gets none of the client's."""
        own = request.base_url is None
        token = request.bearer_token or (self.config.bearer_token if own else None)
        authorization = {"authorization": f"Bearer {token}"} if token else {}
        defaults = _lower(self.config.headers) if own else {}
        # Overrides the client's headers: one that is the same for all requests would make each new one a retry.
        idempotency = {IDEMPOTENCY_HEADER: key} if own or request.bearer_token else {}
        # The later ones win: what the caller gave for this request has the last word.
        return {**_DEFAULT_HEADERS, **authorization, **defaults, **idempotency, **_lower(request.headers)}

    def _check_usable(self) -> None:
        loop = asyncio.get_running_loop()
        if self._closing.is_set() or self._backend.is_closed:
            raise ConfigurationError("This client is closed: make another one.")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError("This client belongs to another event loop: make one client per event loop.")

    def _status_error(self, answer: HTTPAnswer, body: bytes, request: Request) -> APIStatusError:
        if answer.status < 400:
            body = _redirect_message(self._host_of(request), answer.headers.get("location", ""))
        error = status_error(answer.status, answer.headers, body, method=request.method, path=request.path)
        # For the caller even where it is too long to be waited for here.
        error.retry_after = retry_after(answer.headers, longest=86_400)
        return error

    def _host_of(self, request: Request) -> str:
        return urlsplit(request.base_url or self.config.base_url).netloc

    def _connection_error(self, error: TransportError, request: Request) -> APIConnectionError:
        host, call = self._host_of(request), f"{request.method} {request.path}"
        if self._closing.is_set():
            return self._closed_error(request)
        if isinstance(error, TransportTimeoutError):
            return APITimeoutError(f"{host} did not answer {call} in time", method=request.method, path=request.path)
        if isinstance(error, UnreachableError):
            text = f"{host} cannot be reached" + (f" ({error})" if str(error) else "")
        elif isinstance(error, ProtocolError):
            text = f"{host} answered {call} with what is no HTTP ({error})"
        else:
            text = f"The connection to {host} was cut during {call}"
        trusted = "CERTIFICATE_VERIFY_FAILED" not in text  # no retry makes a certificate valid
        return APIConnectionError(text, method=request.method, path=request.path, retryable=trusted)

    def _closed_error(self, request: Request) -> APIConnectionError:
        text = f"This client was closed before {self._host_of(request)} had answered {request.method} {request.path}"
        # A POST, but it changes nothing.
        if request.method != "GET" and not request.path.endswith("/wait_for_status"):
            text += "; what was asked for may have been done"
        return APIConnectionError(text, method=request.method, path=request.path, retryable=False)


def _backend(config: ClientConfig, http_client: httpx.AsyncClient | None) -> HTTPBackend:
    """The backend to use: httpx for a client that the caller passes and for proxies, else direct connections."""
    if http_client is None and not _behind_proxy(config):
        return DirectTransport()
    from ._httpx import HttpxTransport

    return HttpxTransport(http_client)


def _behind_proxy(config: ClientConfig) -> bool:
    # The environment's proxy is for the world outside, and could not reach this machine's own loopback address.
    if config.loopback:
        return False
    from urllib.request import getproxies

    return bool(getproxies().keys() & {"http", "https", "all"})


def _json(request: Request) -> bytes:
    try:
        # NaN and Infinity are no JSON: refused here, where the parameter can be named.
        return json.dumps(request.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        reason = "it is no Unicode text" if isinstance(error, UnicodeEncodeError) else error
        raise ConfigurationError(f"A parameter of {request.method} {request.path} cannot be sent: {reason}") from None


def _redirect_message(host: str, location: str) -> bytes:
    """The error message for a redirect. None is followed, as that could send the API key to another host."""
    target = urlsplit(location)
    elsewhere = f"{target.scheme}://{target.netloc}" if target.netloc else "another path"
    return f"{host} redirects to {elsewhere}, which is not followed: check the base URL (RUNLOOP_BASE_URL)".encode()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _may_retry(error: APIStatusError | APIConnectionError, request: Request) -> bool:
    return request.replayable and is_retryable(error) and not isinstance(error, request.surface)


def _delay(error: APIStatusError | APIConnectionError, attempt: int) -> float:
    # A wait of minutes is the caller's decision, who finds it on the error: here the usual pauses are tried.
    requested = error.retry_after if isinstance(error, APIStatusError) else None
    return backoff(attempt) if requested is None or requested > LONGEST_RETRY_AFTER else requested
