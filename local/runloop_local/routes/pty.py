"""Terminals: `create_pty_tunnel` of the API, and `/pty/...` at the host of a PTY tunnel."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from ..engine.devbox.pty import Size
from ..engine.errors import EngineError, InvalidError, NotFoundError
from ..proxy.connection import AUTHORIZATION, bearer
from ..proxy.hosts import target_of
from .body import Body, Int64, read_body
from .idempotency import idempotent
from .wire import engine_of, integer, json_response, parse_integer, path_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import HTTPConnection, Request
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket

    from ..engine.devbox.pty import Client, Terminals
    from ..engine.engine import Engine
    from ..engine.tunnel.tunnels import Tunnels

PORT = 13
PROTOCOL_VERSION = "1"
OFFSET = "x-runloop-pty-offset"
"""The response header with the offset of the first byte sent; clients ask for an offset by `?offset=`."""
EXITED, GOING_AWAY, PROTOCOL_ERROR = 4000, 1001, 1002
_DENIALS = {"conflict": 409, "not_found": 404}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Control(Body, frozen=True):
    """POST /pty/{session_name}/control."""

    action: Literal["resize", "signal", "close"]
    cols: Int64 | None = None
    rows: Int64 | None = None
    signal: str | None = None


async def create_tunnel(request: Request) -> Response:
    """POST /v1/devboxes/{id}/create_pty_tunnel."""
    engine = engine_of(request)
    tunnel = engine.tunnels.open_pty(await engine.devboxes.get(path_id(request)))
    return json_response({"tunnel_key": tunnel.tunnel_key, "auth_token": tunnel.auth_token})


async def wrong_host(_request: Request) -> Response:
    """Refuse these paths at the API's own host."""
    raise NotFoundError("Terminals are served at the host of a devbox's PTY tunnel: see create_pty_tunnel.")


async def connect(request: Request) -> Response:
    """GET /pty/{session_name}: open the session of this name, creating it if it does not exist."""
    name = _name(request)
    terminals = await _terminals(request)
    session, created = await terminals.open(name, _size(request))
    return json_response(
        {
            "session_name": name,
            "status": "running",
            "protocol_version": PROTOCOL_VERSION,
            "connect_url": f"/pty/{name}/ws",
            "created": created,
            "attached": session.attached,
            "cols": session.size.cols,
            "rows": session.size.rows,
            "idle_ttl_seconds": int(terminals.idle_ttl),
        }
    )


async def control(request: Request) -> Response:
    """POST /pty/{session_name}/control."""
    name = _name(request)
    body = await read_body(request, Control)
    session = (await _terminals(request)).get(name)
    if body.action == "resize":
        if body.cols is None or body.rows is None:
            raise InvalidError("resize needs cols and rows.")
        session.resize(Size(body.cols, body.rows))
    elif body.action == "signal":
        session.signal(body.signal or "")
    else:
        session.close()
    return json_response({"session_name": name, "status": session.end or "running"})


async def attach(websocket: WebSocket) -> None:
    """WebSocket /pty/{session_name}/ws: relay bytes to and from the terminal until either side ends."""
    try:
        terminals = await _terminals(websocket)
        client = terminals.get(_name(websocket)).attach(_offset(websocket))
    except EngineError as error:
        await websocket.send_denial_response(Response(f"{error}\n", _DENIALS.get(error.code, 400)))
        return
    try:
        await websocket.accept(_subprotocol(websocket), [(OFFSET.encode(), str(client.offset).encode())])
        with suppress(WebSocketDisconnect):  # the client may disconnect at any time
            await _relay(websocket, client)
    finally:
        terminals.detach(client)


async def _relay(websocket: WebSocket, client: Client) -> None:
    typing = asyncio.create_task(_relay_input(websocket, client))
    printing = asyncio.create_task(_relay_output(websocket, client))
    try:
        await asyncio.wait({typing, printing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        typing.cancel()
        printing.cancel()
        await asyncio.wait({typing, printing})
    for task in (typing, printing):
        if not task.cancelled():
            task.result()
    if not printing.cancelled():  # the session has ended
        await _send_or_disconnect(websocket.close(GOING_AWAY if client.session.end == "lost" else EXITED))


async def _relay_input(websocket: WebSocket, client: Client) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        data = message.get("bytes")
        await client.session.write(data if data is not None else message["text"].encode())


async def _relay_output(websocket: WebSocket, client: Client) -> None:
    while data := await client.read():
        await _send_or_disconnect(websocket.send_bytes(data))


async def _send_or_disconnect(sending: Awaitable[None]) -> None:
    """Await a send; raises `WebSocketDisconnect` also if the server closed the connection for an invalid frame."""
    try:
        await sending
    except RuntimeError as error:
        raise WebSocketDisconnect(PROTOCOL_ERROR) from error


async def _terminals(connection: HTTPConnection) -> Terminals:
    engine: Engine = connection.app.state.engine
    target = target_of(connection.scope)
    tunnel = None if target is None else engine.tunnels.find_pty(target.key)
    if tunnel is None:
        raise NotFoundError("There is no such PTY tunnel.")
    return (await engine.devboxes.get(tunnel.devbox_id)).processes.terminals()


def _name(connection: HTTPConnection) -> str:
    name = str(connection.path_params["session_name"])
    if not _NAME.fullmatch(name):
        raise InvalidError(f"A terminal's name is 1 to 256 letters, digits, '_' or '-', not {name[:80]!r}.")
    return name


def _size(request: Request) -> Size | None:
    """The size in the query, or None unless both numbers are given."""
    if not {"cols", "rows"} <= request.query_params.keys():
        return None
    return Size(integer(request, "cols", 0), integer(request, "rows", 0))


def _offset(websocket: WebSocket) -> int | None:
    return parse_integer(websocket.query_params.get("offset", ""))


def _subprotocol(websocket: WebSocket) -> str | None:
    offered: list[str] = websocket.scope["subprotocols"]
    return offered[0] if offered else None


class TokenCheck:
    """Middleware that requires the PTY tunnel's token, and the port of PTY tunnels."""

    def __init__(self, app: ASGIApp, tunnels: Tunnels) -> None:
        self._app = app
        self._tunnels = tunnels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        target = target_of(scope)
        tunnel = None if target is None else self._tunnels.find_pty(target.key)
        if target is None or tunnel is None or target.port != PORT:
            return Response(f"A PTY tunnel has the port {PORT} only.\n", 404)
        if not any(tunnel.admits(token) for token in _tokens(scope)):
            return Response("The PTY tunnel asks for Authorization: Bearer and its auth_token.\n", 401)
        return None


def _tokens(scope: Scope) -> list[str]:
    headers = Headers(scope=scope)
    # A browser's WebSocket cannot set headers: there, the token is a subprotocol.
    given = [bearer(headers.get("authorization")), bearer(headers.get(AUTHORIZATION))]
    return [token for token in (*given, *scope.get("subprotocols", ())) if token is not None]


def build_terminals(engine: Engine, errors: Mapping[type[Exception], Callable[..., Awaitable[Response]]]) -> ASGIApp:
    """The application at the hosts of PTY tunnels; `errors` are its exception handlers."""
    routes: list[BaseRoute] = [
        Route("/pty/{session_name}", connect, methods=["GET"]),
        idempotent(Route("/pty/{session_name}/control", control, methods=["POST"])),
        WebSocketRoute("/pty/{session_name}/ws", attach),
    ]
    app = Starlette(routes=routes, exception_handlers=dict(errors))
    app.state.engine = engine
    return TokenCheck(app, engine.tunnels)


ROUTES = [
    Route("/v1/devboxes/{id}/create_pty_tunnel", create_tunnel, methods=["POST"]),
    Route("/pty/{session_name}", wrong_host, methods=["GET"]),
    Route("/pty/{session_name}/control", wrong_host, methods=["POST"]),
]
