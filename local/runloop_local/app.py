"""The ASGI application: authentication, routes and error responses."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from .direct import abort_response
from .engine import errors
from .engine.storage.keys import OWNER
from .proxy.key_filter import KeyFilter
from .proxy.middleware import TunnelMiddleware
from .routes import all_routes
from .routes.event_stream import HEARTBEAT_S
from .routes.kernels import is_connection
from .routes.objects import STORAGE
from .routes.pty import build_terminals
from .routes.wire import REQUEST_ID, json_response
from .sandbox import SandboxEnded, SandboxError, SandboxFull
from .scopes import is_open

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .activity import Activity
    from .engine.engine import Engine
    from .engine.fair_queue import FairQueue
    from .engine.storage.keys import Key, Keys

# Looked up by the exact class, so that a new error without a status is noticed at once.
_STATUS: dict[type[errors.EngineError], int] = {
    errors.EngineError: 500,
    errors.NotFoundError: 404,
    errors.PrunedError: 410,
    errors.InvalidError: 400,
    errors.ForbiddenError: 403,
    errors.ConflictError: 409,
    errors.TooLargeError: 413,
    errors.ReusedRequestIdError: 422,
    errors.WaitExpiredError: 408,
    errors.UnknownKernelError: 412,
    errors.NotServedError: 501,
    errors.StoppingError: 503,
    errors.ExhaustedError: 503,
    errors.DiskFullError: 507,
    errors.StorageError: 500,
    errors.UnreadableError: 500,
}
_RETRYABLE = frozenset({408, 409, 503})


class Access(msgspec.Struct, frozen=True):
    """Decides who may use the service: clients with a valid API key, but no web page of another origin."""

    api_key: str
    host: str
    keys: Keys

    @property
    def key_filter(self) -> KeyFilter:
        """The service's API keys, which must not reach a devbox."""
        return KeyFilter(self.api_key, self.keys)

    def refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """The status, code and sentence with which the request is refused, or None."""
        headers = Headers(scope=scope)
        # Host before the key: it is what a page gets wrong that reaches us through a rebound DNS name.
        known = self._addresses(scope)
        if headers.get("host", "").lower() not in known:
            return 403, "foreign_host", f"The Host header {headers.get('host', '')!r} is not this service's."
        origin = headers.get("origin")
        if origin is not None and origin.lower().removeprefix("http://") not in known:
            return 403, "foreign_origin", f"Requests from pages of {origin!r} are not allowed."
        if scope["path"].startswith(f"{STORAGE}/"):
            return None  # signed URLs carry their own permission
        key = self._key(headers.get("authorization", ""))
        if key is None:
            return 401, "unauthorized", "The API key is missing, wrong or expired: see RUNLOOP_API_KEY."
        if not is_open(key, scope["method"], scope["path"]):
            return (
                403,
                "forbidden",
                f"The scopes of this restricted key do not cover {scope['method']} {scope['path']}.",
            )
        scope["key"] = key
        return None

    def _key(self, authorization: str) -> Key | None:
        if hmac.compare_digest(authorization.encode(), f"Bearer {self.api_key}".encode()):
            return OWNER
        kind, _, secret = authorization.partition(" ")
        return self.keys.find(secret) if kind == "Bearer" else None

    def _addresses(self, scope: Scope) -> frozenset[str]:
        address, port = scope["server"]
        hosts = (address, self.host, "localhost", "127.0.0.1", "[::1]", f"[{address}]")
        return frozenset(f"{host}:{port}".lower() for host in hosts)


class AuthMiddleware:
    """Authenticates requests, adds their id to the response, and counts them as activity."""

    def __init__(self, app: ASGIApp, access: Access, activity: Activity, fair_queue: FairQueue) -> None:
        self._app = app
        self._fair_queue = fair_queue
        self._access = access
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        marked = _with_request_id(scope, send)
        refusal = self._access.refusal(scope)
        if refusal is not None:
            await error_response(*refusal, scope["request_id"])(scope, receive, marked)
            return
        counted = nullcontext() if is_connection(scope["path"]) else self._activity.request()
        with counted, self._fair_queue.request(devbox_of(scope["path"])):
            try:
                await self._app(scope, receive, marked)
            except RuntimeError as error:  # Starlette's: the response had already started
                if not _is_known(error):
                    raise
                abort_response(scope)


def _is_known(error: BaseException | None) -> bool:
    """True if an error, or one of its causes, has an error response of its own."""
    while error is not None:
        if isinstance(error, errors.EngineError | SandboxError):
            return True
        error = error.__cause__
    return False


class YieldMiddleware:
    """Yields to the event loop after each piece of a response body.

    Sending never yields by itself while the client takes everything, or has gone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""

        async def take_turns(message: Message) -> None:
            await send(message)
            if message.get("more_body"):
                await asyncio.sleep(0)

        await self._app(scope, receive, take_turns)


def devbox_of(path: str) -> str:
    """The id of the devbox in a path of the API, or an empty string."""
    _, _, found = path.partition("/v1/devboxes/")
    return found.partition("/")[0]


def _with_request_id(scope: Scope, send: Send) -> Send:
    given = Headers(scope=scope).get(REQUEST_ID) or f"req_{secrets.token_hex(12)}"
    scope["request_id"] = given

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["x-runloop-request-id"] = given
        await send(message)

    return marked


def error_response(status: int, code: str, sentence: str, request_id: str) -> Response:
    """An error response in the API's format."""
    body = {
        "error": code,
        "message": sentence,
        "retryable": status in _RETRYABLE,
        "phase": None,
        "request_id": request_id,
        "details": None,
    }
    response = json_response(body, status)
    response.headers["x-runloop-error-code"] = code
    if status >= 500 and status not in _RETRYABLE:
        response.headers["x-should-retry"] = "false"  # otherwise clients would retry for half a minute
    return response


async def refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI application that answers 503 to connections beyond the limit."""
    known = errors.no_descriptors()
    response = error_response(503, known.code, str(known), f"req_{secrets.token_hex(12)}")
    response.headers["connection"] = "close"
    await response(scope, receive, send)


# Coroutines, because Starlette runs plain functions on a thread, and it may be impossible to start one.


async def _on_engine_error(request: Request, error: errors.EngineError) -> Response:
    return error_response(_STATUS[type(error)], error.code, str(error), request.scope["request_id"])


async def _on_sandbox_error(request: Request, error: Exception) -> Response:
    if isinstance(error, SandboxFull):
        return error_response(507, errors.DiskFullError.code, str(error), request.scope["request_id"])
    status, code = (400, "devbox_ended") if isinstance(error, SandboxEnded) else (503, "sandbox_error")
    return error_response(status, code, str(error), request.scope["request_id"])


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    sentence = f"{error.detail}: {request.method} {request.url.path}"
    return error_response(error.status_code, "http_error", sentence, request.scope["request_id"])


async def _on_machine_error(request: Request, error: Exception) -> Response:
    known = errors.of_machine(error)
    if known is None:
        raise error
    return await _on_engine_error(request, known)


async def _on_disconnect(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody is left to read it


async def _on_unexpected_error(request: Request, error: Exception) -> Response:
    sentence = f"The service ran into {type(error).__name__}; its log says where."
    return error_response(500, "internal_error", sentence, request.scope.get("request_id", ""))


# Each is called with errors of its class only, which Starlette's types cannot say.
_EXCEPTION_HANDLERS: dict[type[Exception], Any] = {
    errors.EngineError: _on_engine_error,
    SandboxError: _on_sandbox_error,
    HTTPException: _on_http_error,
    ClientDisconnect: _on_disconnect,
    OSError: _on_machine_error,
    RuntimeError: _on_machine_error,
    Exception: _on_unexpected_error,
}


def build_app(engine: Engine, access: Access, activity: Activity, heartbeat: float = HEARTBEAT_S) -> Starlette:
    """Build the application on one engine; `heartbeat` is in seconds, 0 for none."""
    terminals = build_terminals(engine, _EXCEPTION_HANDLERS)

    async def marked_terminals(scope: Scope, receive: Receive, send: Send) -> None:
        await terminals(scope, receive, _with_request_id(scope, send))

    app = Starlette(
        routes=all_routes(),
        middleware=[
            Middleware(YieldMiddleware),
            Middleware(
                TunnelMiddleware,
                tunnels=engine.tunnels,
                key_filter=access.key_filter,
                terminals=marked_terminals,
                activity=activity,
            ),
            Middleware(AuthMiddleware, access=access, activity=activity, fair_queue=engine.fair_queue),
        ],
        exception_handlers=_EXCEPTION_HANDLERS,
    )
    app.state.engine = engine
    app.state.heartbeat = heartbeat
    app.state.started_at = datetime.now(UTC).isoformat()
    return app
