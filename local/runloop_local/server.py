"""Serves the API on a socket until it is told to stop, or nobody has used it for a while."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from .activity import Activity
from .app import Access, build_app, turn_away
from .direct import DirectHttp
from .engine import descriptors
from .engine.engine import Engine
from .engine.pty import IDLE_TTL_S
from .proxy.upgrades import upgrades

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .sandbox import Requested

_CLOSE_SECONDS = 3
_QUEUE = 512
_LAST_SECONDS = 0.5
"""How long a connection for which there is no room may take to ask, and hear so."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `runloop-local serve` was asked for."""

    host: str
    port: int
    data_dir: Path
    api_key: str
    isolation: Requested = "auto"
    idle_timeout: float = 1800.0
    pty_idle_ttl: float = IDLE_TTL_S


class _Server(uvicorn.Server):
    """Uvicorn, with our signal handling and word when it answers."""

    def __init__(self, config: uvicorn.Config, answers: Callable[[], None]) -> None:
        super().__init__(config)
        self._answers = answers

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`, which must end devboxes before connections."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        self._answers()


class _Http(DirectHttp):
    """HTTP that turns requests away while there are too few descriptors for what they may need."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """A client has come."""
        super().connection_made(transport)
        if descriptors.are_short(transport.get_extra_info("socket").fileno(), descriptors.FOR_FILES):
            self.app = turn_away
            self.loop.call_later(_LAST_SECONDS, transport.close)


async def serve(settings: Settings, listener: socket.socket, ready: Callable[[str, Engine], None]) -> None:
    """Serve until a signal or idleness; `ready` gets the base URL once requests are answered."""
    engine = await Engine.open(settings.data_dir, settings.isolation, settings.pty_idle_ttl)
    try:
        await _serve(settings, listener, engine, ready)
    finally:
        await engine.aclose()


async def _serve(
    settings: Settings, listener: socket.socket, engine: Engine, ready: Callable[[str, Engine], None]
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    activity = Activity(settings.idle_timeout, stopping.set, lambda: engine.devboxes.busy)
    app = build_app(engine, Access(settings.api_key, settings.host, engine.keys), activity)
    url = base_url(listener)

    def answers() -> None:
        listener.listen(_QUEUE)
        ready(url, engine)

    server = _Server(_config(app, upgrades(engine.tunnels)), answers)
    serving = asyncio.create_task(server.serve([listener]))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    server.should_exit = True
    # Connections are given some seconds: commands end at once, so whoever follows their output hears of it.
    engine.end_streams()
    await engine.devboxes.aclose()
    await serving


def _config(app: object, upgrade: Callable[..., asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application; Starlette's type is a narrower callable
        http=_Http,
        backlog=1,  # accepted at once; asyncio tries that often without a descriptor, and the more often the longer
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


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. `OSError` where the port is taken or the host is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0, asyncio does not turn Nagle's algorithm off, and small answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_QUEUE)
    except BaseException:
        listener.close()
        raise
    return listener


def base_url(listener: socket.socket) -> str:
    """The address of a listening socket."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 -- shown, not bound
    return f"http://{shown}:{port}"
