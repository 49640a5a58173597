"""Serves the API on sockets until it is signalled to stop, or has been idle for a while."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from .activity import Activity
from .app import Access, build_app, refuse_connection
from .engine import descriptors
from .engine.engine import Engine
from .http2.preface import AutoHTTPProtocol
from .listening import base_url, restore_backlog
from .proxy.upgrades import upgrade_factory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .engine.prerequisites import Prerequisites
    from .settings import Settings

_CLOSE_SECONDS = 3
_CLIENT_ERRORS = (
    "Invalid HTTP request received",
    "Unsupported upgrade request",
    "ASGI callable returned without completing handshake",  # the client of a WebSocket has gone meanwhile
)
_LAST_SECONDS = 0.5
"""The time that a connection beyond the limit has to send its request and get the refusal."""


class _Config(uvicorn.Config):
    """Uvicorn's configuration, by which its connections know whether the server is being stopped."""

    is_stopping = False


class _Server(uvicorn.Server):
    """Uvicorn's server, with our signal handling and a callback once it is listening."""

    config: _Config

    def __init__(self, config: _Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`, which must stop devboxes before connections are closed."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call back."""
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close connections as they have been answered, those included that are being accepted meanwhile."""
        self.config.is_stopping = True
        await super().shutdown(sockets)


class _Http(AutoHTTPProtocol):
    """HTTP that refuses connections while there are too few free descriptors, or the server is being stopped."""

    config: _Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Accept a connection, or refuse it with a 503 if descriptors are short."""
        super().connection_made(transport)
        if self.config.is_stopping:
            self.shutdown()  # uvicorn has told its connections to, and waits for all
        elif descriptors.are_short(transport.get_extra_info("socket").fileno(), descriptors.RESERVED_FROM_CONNECTIONS):
            self.app = refuse_connection
            self.loop.call_later(_LAST_SECONDS, transport.close)


async def serve(
    settings: Settings, listeners: list[socket.socket], opened: Prerequisites, ready: Callable[[str, Engine], None]
) -> None:
    """Serve until a signal or the idle timeout; calls `ready` with the base URL once requests are accepted."""
    engine = await Engine.compose(opened, settings.pty_idle_ttl, settings.limits, settings.image, settings.registries)
    try:
        await _serve(settings, listeners, engine, ready)
    finally:
        await engine.aclose()


async def _serve(
    settings: Settings, listeners: list[socket.socket], engine: Engine, ready: Callable[[str, Engine], None]
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    activity = Activity(settings.idle_timeout, stopping.set, lambda: engine.devboxes.busy)
    access = Access(settings.api_key, settings.host, engine.keys)
    app = build_app(engine, access, activity, settings.heartbeat)
    url = base_url(listeners[0])

    def on_listening() -> None:
        restore_backlog(listeners)
        ready(url, engine)

    logging.getLogger("uvicorn.error").addFilter(_is_service_record)
    server = _Server(_config(app, upgrade_factory(engine.tunnels, access.key_filter)), on_listening)
    serving = asyncio.create_task(server.serve(listeners))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    server.should_exit = True  # uvicorn accepts no more connections
    # Open connections have some seconds left: ending the commands now lets clients that follow their output see it.
    engine.end_streams()
    await engine.kernels.aclose()  # before the devboxes, so that none is closed by both
    await engine.devboxes.aclose()
    await serving


def _is_service_record(record: logging.LogRecord) -> bool:
    """True if a log record is about the service itself, not about an invalid request of a client."""
    return not record.getMessage().startswith(_CLIENT_ERRORS)


def _config(app: object, upgrade: Callable[..., asyncio.Protocol]) -> _Config:
    return _Config(
        app,  # type: ignore[arg-type] # an ASGI application; Starlette's type is a narrower callable
        http=_Http,
        backlog=1,  # without free descriptors, asyncio tries accept() this many times in a row
        ws=upgrade,  # type: ignore[arg-type] # called as uvicorn calls a class
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )
